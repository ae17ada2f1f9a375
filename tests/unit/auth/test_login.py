"""Sign-up and sign-in: what works, what does not, and that the two kinds of not look alike."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import msgspec
import pytest

from teleport.base import errors
from teleport.base.errors import TeleportError
from teleport.model.kinds.user import User, UserSpec
from teleport.pki import check, codec, keys, ssh, x509
from tests.support.auth_cluster import PASSWORD, Cluster, document_of, public_keys, role, run, user

HOUR = dt.timedelta(hours=1)


async def sign_in(cluster: Cluster, name: str = "alice", password: str = PASSWORD, **more: Any) -> Any:
    address = more.pop("client_address", "192.0.2.7:5555")
    return await cluster.proxy.login(name, password, **public_keys(cluster.entropy), client_address=address, **more)


async def refusal(cluster: Cluster, *arguments: str, **more: Any) -> TeleportError:
    with pytest.raises(TeleportError) as caught:
        await sign_in(cluster, *arguments, **more)
    return caught.value


def told(error: TeleportError) -> tuple[object, ...]:
    return type(error), error.code, error.fields, error.id, error.what, error.why, error.fix


def test_a_link_a_password_and_two_certificates() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.admin.create(user("alice", "access", logins=("alice", "root")))
        invite = await cluster.admin.create_invite("alice")
        assert invite.path == f"/web/invite/{invite.token}"
        assert invite.expires == cluster.clock.now() + HOUR
        described = await cluster.proxy.describe_invite(invite.token)
        assert (described.user, described.purpose, described.expires) == ("alice", "invite", invite.expires)
        await cluster.proxy.complete_invite(invite.token, PASSWORD)
        signed = await sign_in(cluster)
        identity = codec.from_ssh(ssh.parse(keys.load_ssh_line(signed.ssh_certificate)))
        assert identity == codec.from_x509(x509.parse(signed.tls_certificate.encode()))
        assert (identity.name, identity.roles, identity.kind) == ("alice", ("access",), "human")
        assert identity.principals == ("alice", "root", "-teleport-internal-join")
        assert (identity.login_ip, identity.expires) == ("192.0.2.7", cluster.clock.now() + 12 * HOUR)
        assert (identity.permit_agent_forwarding, identity.permit_port_forwarding) == (True, True)
        assert signed.expires == identity.expires
        assert (signed.cluster, len(signed.host_ssh_keys), len(signed.host_tls_certificates)) == ("example.com", 1, 1)

    run(story)


def test_the_certificates_are_accepted_by_the_check_of_the_node() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.make_user("alice", "access", logins=("root",))
        public = public_keys(cluster.entropy)
        signed = await cluster.proxy.login("alice", PASSWORD, **public)
        trusted = await cluster.service.authorities.every()
        identity = check.check_user(
            keys.load_ssh_line(signed.ssh_certificate), proven_key=keys.load_ssh_line(public["ssh_public_key"]),
            login="root", authorities=trusted, now=cluster.clock.now(), source_ip="", cluster="example.com",
        )  # fmt: skip
        tls = x509.encode(x509.parse(signed.tls_certificate.encode()))
        assert identity == check.check_x509(
            tls, authorities=trusted, now=cluster.clock.now(), source_ip="", cluster="example.com"
        )  # fmt: skip

    run(story)


@pytest.mark.parametrize(
    ("asked", "limit", "hours"),
    [
        (0, "30h", 12),
        (0, "2h", 2),
        (3600, "30h", 1),
        (200 * 3600, "100h", 30),
        (200 * 3600, "2h", 2),
        (1, "30h", 1 / 60),
    ],
)
def test_validity_is_the_shortest_that_anything_allows(asked: float, limit: str, hours: float) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.admin.create(role("r", logins=["root"], options={"max_session_ttl": limit}))
        await cluster.make_user("alice", "r")
        assert (await sign_in(cluster, ttl=asked)).expires == cluster.clock.now() + hours * HOUR

    run(story)


def test_a_certificate_ends_with_the_account() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.make_user("alice", "access")
        alice = await cluster.admin.get("user", "alice")
        soon = cluster.clock.now() + dt.timedelta(minutes=5)
        await cluster.admin.update(msgspec.structs.replace(alice, spec=_with(alice.spec, expires=soon)))
        assert (await sign_in(cluster)).expires == soon
        cluster.clock.advance(HOUR)
        assert (await refusal(cluster)).code == "AUTH-LOGIN"

    run(story)


def _with(spec: UserSpec, **changes: Any) -> UserSpec:
    return msgspec.structs.replace(spec, **changes)


def test_without_logins_the_only_principals_are_ones_that_no_host_accepts() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.make_user("alice", "auditor")
        identity = codec.from_ssh(ssh.parse(keys.load_ssh_line((await sign_in(cluster)).ssh_certificate)))
        assert identity.logins == ()
        assert [p[:18] for p in identity.principals] == ["-teleport-nologin-", "-teleport-internal"]

    run(story)


def test_a_role_can_bind_the_certificate_to_the_address() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.admin.create(role("r", options={"pin_source_ip": True}))
        await cluster.make_user("alice", "r")
        signed = await sign_in(cluster, client_address="[2001:db8::1]:77")
        identity = codec.from_ssh(ssh.parse(keys.load_ssh_line(signed.ssh_certificate)))
        assert identity.pinned_ip == "2001:db8::1"

    run(story)


def test_unknown_user_wrong_password_and_no_password_are_told_alike() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.make_user("alice", "access")
        await cluster.admin.create(user("bob", "access"))
        names = ["alice", "bob", "nobody", "../alice", "", "x" * 5000, "a\nb"]
        seen = [told(await refusal(cluster, name, "wrong password!")) for name in names]
        assert len({repr(entry) for entry in seen}) == 1
        assert seen[0][1] == "AUTH-LOGIN"
        assert told(await refusal(cluster, "bob", "there is no such user")) == seen[0]

    run(story)


@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_five_failures_shut_a_name_out_whether_it_exists_or_not(name: str) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.make_user("alice", "access")
        codes = [(await refusal(cluster, name, "wrong password!")).code for _ in range(6)]
        assert codes == ["AUTH-LOGIN"] * 5 + ["AUTH-LOCKED-OUT"]
        error = await refusal(cluster, name, PASSWORD)
        assert str(error) == "user has exceeded maximum failed login attempts"
        cluster.clock.advance(dt.timedelta(minutes=31))
        if name == "alice":
            assert (await sign_in(cluster)).username == "alice"
        failed = [event for event in await cluster.events("user.login") if not event["success"]]
        assert [event["code"] for event in failed] == ["T1000W"] * 7
        assert {event["user"] for event in failed} == {name}

    run(story)


def test_many_guesses_at_once_are_five() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.make_user("alice", "access")
        errors_of = await asyncio.gather(*(refusal(cluster, "alice", f"guess number {n}") for n in range(40)))
        assert sorted(error.code for error in errors_of).count("AUTH-LOGIN") == 5

    run(story)


def test_an_administrator_ends_a_lock_out() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.make_user("alice", "access")
        for _ in range(5):
            await refusal(cluster, "alice", "wrong password!")
        alice = await cluster.admin.get("user", "alice")
        assert alice.spec.status.is_locked
        await cluster.admin.update(msgspec.structs.replace(alice, spec=_with(alice.spec, status=User().spec.status)))
        assert (await sign_in(cluster)).username == "alice"

    run(story)


def test_a_reset_takes_the_password_and_the_lock_out() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.make_user("alice", "access")
        for _ in range(5):
            await refusal(cluster, "alice", "wrong password!")
        reset = await cluster.admin.create_reset("alice")
        assert reset.path == f"/web/reset/{reset.token}"
        assert (await refusal(cluster)).code == "AUTH-LOGIN"
        await cluster.proxy.complete_invite(reset.token, "another good password")
        assert (await sign_in(cluster, password="another good password")).username == "alice"
        events = [
            event["event"] for event in await cluster.events("reset_password_token.create", "user.password_change")
        ]
        assert events == ["reset_password_token.create", "user.password_change"] * 2

    run(story)


def test_reading_a_link_never_burns_it_and_using_it_does() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.admin.create(user("alice", "access"))
        token = (await cluster.admin.create_invite("alice")).token
        for _ in range(5):
            await cluster.proxy.describe_invite(token)
        with pytest.raises(errors.BadParameter):
            await cluster.proxy.complete_invite(token, "short")
        await cluster.proxy.describe_invite(token)
        await cluster.proxy.complete_invite(token, PASSWORD)
        for call in (cluster.proxy.describe_invite(token), cluster.proxy.complete_invite(token, PASSWORD)):
            with pytest.raises(errors.NotFound) as caught:
                await call
            assert caught.value.code == "AUTH-INVITE"
        with pytest.raises(errors.AlreadyExists):
            await cluster.admin.create_invite("alice")

    run(story)


def test_of_many_who_use_a_link_at_once_one_sets_the_password() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.admin.create(user("alice", "access"))
        token = (await cluster.admin.create_invite("alice")).token
        passwords = [f"password number {n:02}" for n in range(10)]
        results = await asyncio.gather(
            *(cluster.proxy.complete_invite(token, password) for password in passwords), return_exceptions=True
        )  # fmt: skip
        winners = [password for password, result in zip(passwords, results, strict=True) if result is None]
        assert len(winners) == 1
        assert (await sign_in(cluster, "alice", winners[0])).username == "alice"
        assert len(await cluster.events("user.password_change")) == 1

    run(story)


def test_a_link_does_not_outlive_its_user() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.admin.create(user("alice", "access"))
        token = (await cluster.admin.create_invite("alice")).token
        await cluster.admin.delete("user", "alice")
        await cluster.admin.create(user("alice", "editor"))
        with pytest.raises(errors.NotFound):
            await cluster.proxy.complete_invite(token, PASSWORD)

    run(story)


def test_a_password_does_not_outlive_its_user() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.make_user("alice", "access")
        await cluster.admin.delete("user", "alice")
        await cluster.admin.create(user("alice", "editor"))
        assert (await refusal(cluster)).code == "AUTH-LOGIN"

    run(story)


@pytest.mark.parametrize("target", [{"user": "alice"}, {"role": "access"}])
def test_a_lock_refuses_certificates(target: dict[str, str]) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.make_user("alice", "access")
        lock = await cluster.admin.create(document_of("lock", "", {"target": target, "message": "stolen"}))
        error = await refusal(cluster)
        assert (error.code, error.fields["lock_name"]) == ("POL-LOCKED", lock.name)
        assert (await refusal(cluster, "alice", "wrong password!")).code == "AUTH-LOGIN"
        assert await cluster.events("cert.create") == []
        await cluster.admin.delete("lock", lock.name)
        assert (await sign_in(cluster)).username == "alice"

    run(story)


def test_events_of_a_sign_in_are_there_before_the_certificate() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.make_user("alice", "access", logins=("root",))
        await sign_in(cluster)
        login, cert = await cluster.events("user.login", "cert.create")
        assert (login["event"], login["code"], login["user"], login["addr.remote"]) == (
            "user.login", "T1000I", "alice", "192.0.2.7",
        )  # fmt: skip
        assert (cert["event"], cert["code"], cert["cert_type"]) == ("cert.create", "TC000I", "user")
        assert cert["identity"]["logins"] == ("root",)

    run(story)


def test_nothing_typed_by_a_person_gets_into_the_audit_log() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.make_user("alice", "access")
        await refusal(cluster, "alice", "hunter2-is-secret")
        token = (await cluster.admin.create_reset("alice")).token
        written = repr(await cluster.events())
        assert not any(secret in written for secret in ("hunter2", PASSWORD, token))

    run(story)


@pytest.mark.parametrize(
    "bad",
    [
        {"ssh_public_key": "ssh-ed25519 AAAA"},
        {"ssh_public_key": ""},
        {"tls_public_key": "-----BEGIN PUBLIC KEY-----\n%%%\n-----END PUBLIC KEY-----"},
        {"tls_public_key": "no PEM"},
    ],
)
def test_keys_that_cannot_be_read_are_refused_before_the_password(bad: dict[str, str]) -> None:
    async def story(cluster: Cluster) -> None:
        with pytest.raises(errors.BadParameter) as caught:
            await cluster.proxy.login("alice", PASSWORD, **{**public_keys(cluster.entropy), **bad})
        assert caught.value.code == "PKI-KEY"
        assert await cluster.events("user.login") == []

    run(story)


def test_a_user_whose_role_is_gone_is_told_so_after_the_password() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.make_user("alice", "access")
        await cluster.backend.commit(*[_delete("/roles/access")])
        assert (await refusal(cluster)).code == "AUTH-USER-ROLES"

    run(story)


def _delete(key: str) -> Any:
    from teleport.store.backend import Delete

    return Delete(key)


def test_links_need_the_right_to_change_users() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.admin.create(user("alice", "access"))
        bob = cluster.client(cluster.user("bob", "access"))
        for call in (bob.create_invite, bob.create_reset):
            with pytest.raises(errors.AccessDenied):
                await call("alice")
        with pytest.raises(errors.NotFound):
            await cluster.admin.create_invite("nobody")
        with pytest.raises(errors.BadParameter):
            await cluster.admin.create_invite("alice", ttl=49 * 3600)

    run(story)
