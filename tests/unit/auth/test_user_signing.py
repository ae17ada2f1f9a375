"""Certificates for a user who does not sign in: who may have them made, and what they are."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from teleport.api.messages import UserRequest
from teleport.base import errors
from teleport.pki import codec, keys, ssh, x509
from tests.support.auth_cluster import Cluster, document_of, public_keys, role, rule, run, user


def request(cluster: Cluster, name: str = "alice", **fields: Any) -> UserRequest:
    return UserRequest(user=name, **{**public_keys(cluster.entropy), **fields})


async def prepare(cluster: Cluster) -> None:
    await cluster.admin.create(user("alice", "access", logins=("alice",)))
    await cluster.admin.create(user("carol", "access", logins=("carol",)))


async def refused(cluster: Cluster, caller: Any, name: str = "alice") -> errors.TeleportError:
    with pytest.raises(errors.TeleportError) as caught:
        await cluster.client(caller).issue_user(request(cluster, name))
    return caught.value


def test_the_administrator_gets_what_a_sign_in_would_give() -> None:
    async def story(cluster: Cluster) -> None:
        await prepare(cluster)
        asked = request(cluster, ttl=3600)
        issued = await cluster.admin.issue_user(asked)
        certificate = ssh.parse(keys.load_ssh_line(issued.ssh_certificate))
        identity = codec.from_ssh(certificate)
        assert identity == codec.from_x509(x509.parse(issued.tls_certificate.encode()))
        assert (identity.name, identity.roles, identity.logins) == ("alice", ("access",), ("alice",))
        assert (identity.impersonator, identity.renewable, identity.login_ip) == ("admin@test", False, "")
        assert identity.expires == issued.expires == cluster.clock.now() + dt.timedelta(hours=1)
        assert certificate.key == keys.load_ssh_line(asked.ssh_public_key)
        assert [authority.type for authority in issued.authorities] == ["host", "user"]
        (event,) = await cluster.events("cert.create")
        assert (event["user"], event["user_kind"], event["cert_type"]) == ("admin@test", 3, "user")
        assert (event["identity"]["user"], event["identity"]["impersonator"]) == ("alice", "admin@test")

    run(story)


def test_validity_is_that_of_a_sign_in() -> None:
    async def story(cluster: Cluster) -> None:
        await prepare(cluster)
        for asked, hours in ((0, 12), (1e9, 30)):
            issued = await cluster.admin.issue_user(request(cluster, ttl=asked))
            assert issued.expires - cluster.clock.now() == dt.timedelta(hours=hours)

    run(story)


def test_people_need_the_right_to_use_that_user() -> None:
    async def story(cluster: Cluster) -> None:
        await prepare(cluster)
        await cluster.admin.create(role("admin-of-users", rules=[rule("user", "list create read update delete")]))
        await cluster.admin.create(
            role("for-alice", rules=[rule("user", "use", 'equals(resource.metadata.name, "alice")')])
        )
        for name in ("access", "editor", "auditor", "admin-of-users"):
            error = await refused(cluster, cluster.user("bob", name))
            assert (error.code, bool(error.id)) == ("POL-NO-VERB", True)
        bob = cluster.user("bob", "for-alice")
        issued = await cluster.client(bob).issue_user(request(cluster))
        assert codec.from_ssh(ssh.parse(keys.load_ssh_line(issued.ssh_certificate))).impersonator == "bob"
        (event,) = await cluster.events("cert.create")
        assert (event["user"], event["addr.remote"], event["user_roles"]) == ("bob", "192.0.2.9", ("for-alice",))
        assert (await refused(cluster, bob, "carol")).id
        explained = await cluster.admin.explain(error.id)
        assert explained.denial["request"] == "use user"

    run(story)


def test_a_user_who_is_not_there_is_not_found() -> None:
    async def story(cluster: Cluster) -> None:
        for name in ("nobody", "", "a\nb"):
            with pytest.raises(errors.NotFound) as caught:
                await cluster.admin.issue_user(request(cluster, name))
            assert (caught.value.code, bool(caught.value.id)) == ("POL-NOT-FOUND", True)

    run(story)


def test_locks_hold_for_the_asker_and_for_the_named() -> None:
    async def story(cluster: Cluster) -> None:
        await prepare(cluster)
        await cluster.admin.create(role("users", rules=[rule("user", "use")]))
        await cluster.admin.create(document_of("lock", "", {"target": {"user": "alice"}}))
        await cluster.admin.create(document_of("lock", "", {"target": {"user": "bob"}}))
        with pytest.raises(errors.AccessDenied) as caught:
            await cluster.admin.issue_user(request(cluster))
        assert caught.value.code == "POL-LOCKED"
        error = await refused(cluster, cluster.user("bob", "users"), "carol")
        assert (error.code, bool(error.id)) == ("POL-LOCKED", True)
        assert await cluster.events("cert.create") == []

    run(story)


def test_nobody_acts_in_a_name_through_another() -> None:
    async def story(cluster: Cluster) -> None:
        await prepare(cluster)
        await cluster.admin.create(role("users", rules=[rule("user", "use")]))
        error = await refused(cluster, cluster.user("bob", "users", impersonator="mallory"))
        assert (error.code, bool(error.id)) == ("POL-IMPERSONATED", True)
        assert "issued to mallory in the name of bob" in error.why
        assert (await cluster.admin.explain(error.id)).denial["code"] == "POL-IMPERSONATED"

    run(story)


def test_pinned_certificates_come_from_a_sign_in_only() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.admin.create(role("pinned", options={"pin_source_ip": True}))
        await cluster.admin.create(user("alice", "pinned"))
        with pytest.raises(errors.BadParameter) as caught:
            await cluster.admin.issue_user(request(cluster))
        assert caught.value.code == "AUTH-SIGN-PINNED"

    run(story)


def test_keys_are_checked() -> None:
    async def story(cluster: Cluster) -> None:
        await prepare(cluster)
        with pytest.raises(errors.BadParameter) as caught:
            await cluster.admin.issue_user(request(cluster, ssh_public_key="ssh-dss AAAA"))
        assert caught.value.code == "PKI-KEY"

    run(story)


def test_an_unreadable_store_is_not_an_absent_user(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(cluster: Cluster) -> None:
        async def broken(*_: object) -> None:
            raise errors.Unavailable("STORE-CLOSED")

        monkeypatch.setattr(cluster.service.store, "get", broken)
        with pytest.raises(errors.Unavailable):
            await cluster.admin.issue_user(request(cluster))

    run(story)
