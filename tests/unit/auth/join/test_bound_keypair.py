"""Join method bound_keypair: the ceremony, its order, and what a copy of a client comes to."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from teleport.api.caller import Caller
from teleport.api.join_messages import Joined
from teleport.api.join_proofs import BoundAsk, BoundInit, BoundKeepsake, BoundSolution, read
from teleport.base.disk import MemoryDisk
from teleport.base.entropy import SeededEntropy
from teleport.client.joining.bound_keypair import FILE, BoundKeypairMethod
from teleport.model.kinds.token import Token
from teleport.pki import codec, keys, x509
from tests.support.auth_cluster import Cluster, document_of, role, run
from tests.support.bots import ELSEWHERE, identity_of
from tests.support.joiner import STRANGER, Shows, join, make, refused

NAME = "bound"


class Machine:
    """A machine with a disk."""

    def __init__(self, secret: str = "", seed: int = 1) -> None:
        self.disk = MemoryDisk()
        self.disk.make_dir("/proc")
        self.method = BoundKeypairMethod(self.disk, "/proc", SeededEntropy(seed), secret)

    def copy(self) -> Machine:
        """Return a machine with the same file."""
        other = Machine(seed=2)
        other.disk.write(f"/proc/{FILE}", self.disk.read(f"/proc/{FILE}"))
        return other


async def stage(cluster: Cluster, **block: Any) -> Machine:
    await make(cluster, NAME, join_method="bound_keypair", bound_keypair=block)
    return Machine(await secret(cluster))


async def stored(cluster: Cluster) -> Any:
    token = await cluster.service.store.get(Token, NAME)
    assert token.status is not None
    return token.status.bound_keypair


async def secret(cluster: Cluster) -> str:
    return str((await stored(cluster)).registration_secret.reveal())


async def enter(cluster: Cluster, machine: Machine, caller: Caller = STRANGER) -> Joined:
    return await join(cluster, machine.method, caller, token=NAME)


async def no(cluster: Cluster, machine: Machine, caller: Caller = STRANGER) -> str:
    return (await refused(cluster, machine.method, caller=caller, token=NAME)).what


def as_host(joined: Joined) -> Caller:
    return Caller(codec.from_x509(x509.parse(joined.certificates.tls_certificate.encode())), "192.0.2.7:1")


def test_a_key_is_bound_and_opens_again_and_the_host_stays_itself() -> None:
    async def story(cluster: Cluster) -> None:
        machine = await stage(cluster, recovery={"limit": 3})
        first = await enter(cluster, machine)
        status = await stored(cluster)
        assert (status.recovery_count, status.bound_host_id, await secret(cluster)) == (1, first.host_id, "")
        again = await enter(cluster, machine)  # it has lost its certificates, and not its key
        assert (again.host_id, (await stored(cluster)).recovery_count) == (first.host_id, 2)
        renewed = await enter(cluster, machine, as_host(again))
        assert (renewed.host_id, (await stored(cluster)).recovery_count) == (first.host_id, 2)
        await enter(cluster, machine)
        assert await no(cluster, machine) == "no rejoins remaining"
        await enter(cluster, machine, as_host(renewed))
        event = (await cluster.events("instance.join"))[0]
        assert event["attributes"]["recovery_count"] == "1"
        assert event["attributes"]["key"].startswith("SHA256:")

    run(story)


@pytest.mark.parametrize("wrong", ["", "wrong"])
def test_the_first_key_needs_the_secret(wrong: str) -> None:
    async def story(cluster: Cluster) -> None:
        right = await stage(cluster)
        assert await no(cluster, Machine(wrong)) == "a valid registration secret is required"
        joined = await enter(cluster, right)
        late = Machine("x")
        assert "does not have the key" in await no(cluster, late)
        assert (await stored(cluster)).bound_host_id == joined.host_id

    run(story)


def test_the_secret_has_an_end() -> None:
    async def story(cluster: Cluster) -> None:
        before = (cluster.clock.now() + dt.timedelta(minutes=1)).isoformat()
        machine = await stage(cluster, onboarding={"must_register_before": before, "registration_secret": "chosen"})
        assert await secret(cluster) == "chosen"
        cluster.clock.advance(dt.timedelta(minutes=1))
        assert await no(cluster, machine) == "a valid registration secret is required"

    run(story)


def test_a_key_that_is_known_before_needs_no_secret() -> None:
    async def story(cluster: Cluster) -> None:
        machine = Machine()
        key = machine.method._make()
        line = keys.ssh_line(keys.ssh_blob(key.public_key()))
        await make(
            cluster, NAME, join_method="bound_keypair", bound_keypair={"onboarding": {"initial_public_key": line}}
        )  # fmt: skip
        assert await secret(cluster) == ""
        assert "does not have the key" in await no(cluster, Machine(seed=3))
        assert (await enter(cluster, machine)).host_id

    run(story)


def test_a_signature_by_another_key_is_none() -> None:
    async def story(cluster: Cluster) -> None:
        machine = await stage(cluster, recovery={"mode": "relaxed"})
        await enter(cluster, machine)
        thief = Machine(seed=9)
        thief.method._make()

        def forge(challenge: bytes) -> BoundSolution:
            asked = read(challenge, BoundAsk)
            assert asked.challenge is not None
            return BoundSolution(signed="e30.e30.e30")

        shown = Shows("bound_keypair", BoundInit(), forge)
        assert (await refused(cluster, shown, token=NAME)).what == "failed to complete challenge"
        assert not [lock async for lock in cluster.admin.list("lock")]

    run(story)


def test_a_copy_locks_the_token_and_who_has_no_key_does_not() -> None:
    async def story(cluster: Cluster) -> None:
        machine = await stage(cluster, recovery={"mode": "relaxed"})
        joined = await enter(cluster, machine)
        copy = machine.copy()
        await enter(cluster, machine)
        assert await no(cluster, copy) == "join state verification failed"
        (lock,) = [lock async for lock in cluster.admin.list("lock")]
        assert lock.spec.message == (
            f'The join token "bound" has been locked by host "{joined.host_id}" after a client failed to verify its '
            "join state, possibly indicating a stolen keypair."
        )
        error = await refused(cluster, machine.method, token=NAME)
        assert error.code == "POL-LOCKED"
        stranger = Shows("bound_keypair", BoundInit(), lambda challenge: BoundSolution(signed="a.b.c"))
        assert (await refused(cluster, stranger, token=NAME)).what == "failed to complete challenge"
        await cluster.admin.delete("lock", lock.name)
        assert (await enter(cluster, machine)).host_id == joined.host_id

    run(story)


@pytest.mark.parametrize("state", ["", "nonsense", "e30.e30.e30"])
def test_what_was_kept_must_be_shown(state: str) -> None:
    async def story(cluster: Cluster) -> None:
        machine = await stage(cluster, recovery={"mode": "relaxed"})
        await enter(cluster, machine)
        machine.method._write(type(machine.method._read())(keys=machine.method._read().keys, join_state=state))
        assert await no(cluster, machine) == "join state verification failed"

    run(story)


def test_the_state_of_another_client_is_none() -> None:
    async def story(cluster: Cluster) -> None:
        machine = await stage(cluster, recovery={"mode": "relaxed"})
        await enter(cluster, machine)
        await make(cluster, "other", join_method="bound_keypair", bound_keypair={})
        token = await cluster.service.store.get(Token, "other")
        assert token.status is not None
        assert token.status.bound_keypair is not None
        other = Machine(token.status.bound_keypair.registration_secret.reveal(), seed=5)
        await join(cluster, other.method, token="other")
        kept = machine.method._read()
        machine.method._write(type(kept)(keys=kept.keys, join_state=other.method._read().join_state))
        assert await no(cluster, machine) == "join state verification failed"

    run(story)


def test_insecure_looks_at_the_key_alone() -> None:
    async def story(cluster: Cluster) -> None:
        machine = await stage(cluster, recovery={"mode": "insecure"})
        await enter(cluster, machine)
        copy = machine.copy()
        await enter(cluster, machine)
        assert (await enter(cluster, copy)).host_id

    run(story)


def test_a_key_is_replaced_when_it_is_due() -> None:
    async def story(cluster: Cluster) -> None:
        later = (cluster.clock.now() + dt.timedelta(hours=1)).isoformat()
        machine = await stage(cluster, recovery={"mode": "relaxed"}, rotate_after=later)
        await enter(cluster, machine)
        first = (await stored(cluster)).bound_public_key
        await enter(cluster, machine)
        assert (await stored(cluster)).bound_public_key == first
        cluster.clock.advance(dt.timedelta(hours=1))

        class Lazy(BoundKeypairMethod):
            async def solve(self, challenge: bytes) -> bytes:
                if read(challenge, BoundAsk).rotate:
                    return b'{"public_key":"' + first.encode() + b'"}'
                return await super().solve(challenge)

        lazy = Lazy(machine.disk, "/proc", SeededEntropy(4))
        error = await refused(cluster, lazy, token=NAME)
        assert error.what == "public key may not be reused after rotation"
        await enter(cluster, machine)
        second = (await stored(cluster)).bound_public_key
        assert second != first
        await enter(cluster, machine)
        assert (await stored(cluster)).bound_public_key == second
        assert len(machine.method._read().keys) == 2

    run(story)


def test_who_has_another_identity_does_not_take_this_one() -> None:
    async def story(cluster: Cluster) -> None:
        machine = await stage(cluster)
        await make(cluster)
        other = as_host(await join(cluster))
        assert "existing credentials" in await no(cluster, machine, other)
        await enter(cluster, machine)
        assert await no(cluster, machine, other) == "host id mismatch"

    run(story)


def test_nobody_but_the_server_writes_what_it_notes() -> None:
    async def story(cluster: Cluster) -> None:
        machine = await stage(cluster, recovery={"limit": 2})
        await enter(cluster, machine)
        token = await cluster.admin.get("token", NAME, with_secrets=True)
        import msgspec

        await cluster.admin.upsert(msgspec.structs.replace(token, status=None))
        assert (await stored(cluster)).recovery_count == 1
        shown = await cluster.admin.get("token", NAME)
        assert isinstance(shown, Token)
        assert (await enter(cluster, machine)).host_id

    run(story)


def test_two_at_once_are_not_both_first() -> None:
    async def story(cluster: Cluster) -> None:
        machine = await stage(cluster)
        twin = Machine(await secret(cluster), seed=6)

        class Slow(BoundKeypairMethod):
            async def solve(self, challenge: bytes) -> bytes:
                if read(challenge, BoundAsk).challenge is not None:
                    await enter(cluster, machine)
                return await super().solve(challenge)

        error = await refused(cluster, Slow(twin.disk, "/proc", SeededEntropy(6), await secret(cluster)), token=NAME)
        assert (error.code, error.what) == ("AUTH-JOIN-CHANGED", "unexpected backend state")

    run(story)


def test_keys_of_other_sorts_and_states_of_the_store() -> None:
    async def story(cluster: Cluster) -> None:
        machine = await stage(cluster)
        shown = Shows(
            "bound_keypair", BoundInit(initial_join_secret=await secret(cluster)),
            lambda challenge: BoundSolution(public_key="ssh-rsa AAAA"),
        )  # fmt: skip
        assert (await refused(cluster, shown, token=NAME)).code == "AUTH-JOIN-PROOF"
        joined = await enter(cluster, machine)
        assert read(joined.keepsake, BoundKeepsake).bound_public_key == (await stored(cluster)).bound_public_key

    run(story)


class BotMachine(Machine):
    """A machine on which a bot runs."""

    joined: Joined | None = None

    @property
    def caller(self) -> Caller:
        assert self.joined is not None
        return Caller(identity_of(self.joined.certificates), "192.0.2.7:1")

    async def enter(self, cluster: Cluster, caller: Caller = STRANGER, **fields: Any) -> Any:
        """Join, and return whom the certificates name."""
        self.joined = await join(cluster, self.method, caller, token=NAME, system_role="Bot", **fields)
        return identity_of(self.joined.certificates)

    async def refused(self, cluster: Cluster, caller: Caller = STRANGER, **fields: Any) -> Any:
        return await refused(cluster, self.method, caller=caller, token=NAME, system_role="Bot", **fields)


async def bot_stage(cluster: Cluster, *, lock_scope: str = "user", **block: Any) -> BotMachine:
    await cluster.admin.upsert(role("access"))
    await cluster.admin.create(document_of("bot", "example", {"roles": ["access"], "lock_scope": lock_scope}))
    spec = {"roles": ["Bot"], "bot_name": "example", "join_method": "bound_keypair", "bound_keypair": block}
    await cluster.admin.create(document_of("token", NAME, spec))
    return BotMachine(await secret(cluster))


async def the_locks(cluster: Cluster) -> list[Any]:
    return [lock async for lock in cluster.admin.list("lock")]


def test_a_bot_is_bound_goes_on_and_recovers() -> None:
    async def story(cluster: Cluster) -> None:
        machine = await bot_stage(cluster, recovery={"limit": 2})
        first = await machine.enter(cluster)
        status = await stored(cluster)
        assert (status.bound_bot_instance_id, status.bound_host_id) == (first.bot_instance_id, "")
        assert (first.generation, first.renewable, first.join_token) == (1, False, NAME)
        second = await machine.enter(cluster, machine.caller)
        assert (second.bot_instance_id, second.generation) == (first.bot_instance_id, 2)
        assert (await stored(cluster)).recovery_count == 1
        third = await machine.enter(cluster)  # its certificates are lost: this is a recovery
        assert (third.bot_instance_id == first.bot_instance_id, third.generation) == (False, 1)
        found = await cluster.admin.get("bot_instance", third.bot_instance_id)
        assert found.spec.previous_instance_id == first.bot_instance_id
        assert (await stored(cluster)).recovery_count == 2
        assert (await machine.refused(cluster)).what == "no rejoins remaining"
        assert (await machine.enter(cluster, machine.caller)).generation == 2
        assert await the_locks(cluster) == []

    run(story)


def test_a_copy_of_a_bots_certificates_locks_the_bot() -> None:
    async def story(cluster: Cluster) -> None:
        machine = await bot_stage(cluster, recovery={"limit": 5})
        await machine.enter(cluster)
        old = machine.caller
        await machine.enter(cluster, old)
        await machine.enter(cluster, machine.caller)
        error = await machine.refused(cluster, Caller(old.identity, ELSEWHERE))
        assert error.what == "renewable cert generation mismatch: stored=3, presented=1"
        (lock,) = await the_locks(cluster)
        assert lock.spec.target.named() == {"user": "bot-example"}
        (event,) = await cluster.events("cert.generation_mismatch")
        assert (event["addr.remote"], event["other_addr_remote"]) == (ELSEWHERE, "192.0.2.7:1")
        assert (await machine.refused(cluster)).code == "POL-LOCKED"

    run(story)


def test_an_answer_that_was_lost_is_given_again_to_the_same_key() -> None:
    async def story(cluster: Cluster) -> None:
        from tests.support.auth_cluster import public_keys

        machine = await bot_stage(cluster)
        await machine.enter(cluster)
        before, keys_ = machine.caller, public_keys(cluster.entropy)
        await machine.enter(cluster, before, **keys_)
        assert (await machine.enter(cluster, before, **keys_)).generation == 2
        assert (await machine.enter(cluster, machine.caller)).generation == 3
        assert await the_locks(cluster) == []

    run(story)


def test_the_narrow_lock_of_a_bound_key_is_that_of_its_token() -> None:
    async def story(cluster: Cluster) -> None:
        machine = await bot_stage(cluster, lock_scope="instance", recovery={"limit": 5})
        await machine.enter(cluster)
        old = machine.caller
        await machine.enter(cluster, old)
        await machine.refused(cluster, old)
        (lock,) = await the_locks(cluster)
        assert lock.spec.target.named() == {"join_token": NAME}
        error = await machine.refused(cluster)
        assert (error.code, "tctl bots recover example (it removes" in error.fix) == ("POL-LOCKED", True)

    run(story)


def test_an_instance_that_is_gone_locks_too() -> None:
    async def story(cluster: Cluster) -> None:
        machine = await bot_stage(cluster)
        first = await machine.enter(cluster)
        await cluster.admin.delete("bot_instance", first.bot_instance_id)
        error = await machine.refused(cluster, machine.caller)
        assert error.what == "renewable cert generation mismatch: stored=0, presented=1"

    run(story)


def test_a_copy_of_the_key_that_has_not_joined_last_locks_the_token() -> None:
    async def story(cluster: Cluster) -> None:
        machine = await bot_stage(cluster, recovery={"mode": "relaxed"})
        await machine.enter(cluster)
        copy = BotMachine(seed=2)
        copy.disk.write(f"/proc/{FILE}", machine.disk.read(f"/proc/{FILE}"))
        await machine.enter(cluster)
        error = await copy.refused(cluster)
        assert error.what == "join state verification failed"
        (lock,) = await the_locks(cluster)
        assert lock.spec.message == (
            'The join token "bound" has been locked by bot "example" after a client failed to verify its join state, '
            "possibly indicating a stolen keypair."
        )
        assert (await machine.refused(cluster, machine.caller)).code == "POL-LOCKED"

    run(story)


def test_the_certificates_of_another_instance_are_not_its_own() -> None:
    async def story(cluster: Cluster) -> None:
        machine = await bot_stage(cluster, recovery={"mode": "relaxed"})
        await machine.enter(cluster)
        before = machine.caller
        assert "existing credentials" not in (await machine.enter(cluster)).name
        error = await machine.refused(cluster, before)
        assert error.what == "bot instance mismatch"
        assert await the_locks(cluster) == []

    run(story)
