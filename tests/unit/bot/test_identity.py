"""The bot's own identity: joining, renewing, and coming back from whatever was lost on the way."""

from __future__ import annotations

import asyncio
import datetime as dt
import io
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from teleport.api.bot_calls import BotCalls
from teleport.api.bot_messages import Output
from teleport.api.caller import Caller
from teleport.base.errors import AccessDenied, Internal, NotAuthenticated, NotFound, TeleportError
from teleport.bot.held import held_of, make_key, public_keys
from teleport.bot.identity import OwnIdentity
from teleport.bot.outputs.certified import identity_set
from teleport.bot.storage import FILES, NEXT, hash_of
from teleport.client.joining.join import Method
from tests.support.auth_cluster import Cluster, document_of, run
from tests.support.bot_doors import AuthDoor, Killed, Place, at, full, lost, nothing
from tests.support.bots import ELSEWHERE, HOME, NAME, USER, invite, make_bot
from tests.support.joiner import SECRET, Shows
from tests.support.log_lines import said

__all__ = ["said"]

SECOND = "another-secret-token-0123456789"
GITHUB = {"github": {"allow": [{"repository": "a/b"}]}}


class Host:
    """A machine with a storage, on which a bot is started and killed."""

    def __init__(self, cluster: Cluster, place: Place | None = None, token: str = SECRET, **more: Any) -> None:
        self.cluster = cluster
        self.place = place or Place()
        self.token = token
        self.door = AuthDoor(cluster.service, cluster.clock, token, **more)

    def bot(self, *, method: str = "token", legacy: bool = False) -> OwnIdentity:
        """Start it."""
        self.door.token = self.token
        return OwnIdentity(
            self.place, self.door, token=lambda: self.token, method=method, clock=self.cluster.clock,
            entropy=self.cluster.entropy, legacy=legacy,
        )  # fmt: skip

    async def locks(self) -> list[Any]:
        return [each async for each in self.cluster.admin.list("lock")]

    async def generation(self) -> int:
        """The generation of the only instance."""
        (found,) = [each async for each in self.cluster.admin.list("bot_instance")]
        return int(found.latest.generation)


def on(story: Callable[[Host], Awaitable[None]], **spec: Any) -> None:
    """Run a story on a host that has the token of a bot."""

    async def body(cluster: Cluster) -> None:
        await make_bot(cluster, "access", **spec)
        await story(Host(cluster))

    run(body)


async def fails(work: Awaitable[Any]) -> TeleportError:
    with pytest.raises(TeleportError) as caught:
        await work
    return caught.value


def test_it_joins_and_renews_and_says_so(said: io.StringIO) -> None:
    """S1-06, S1-19, S1-21: the line of a loaded identity has the seed's fields in its order."""

    async def story(host: Host) -> None:
        first = host.bot()
        assert not first.known
        held = await first.begin()
        assert (held.identity.generation, held.identity.renewable, first.current) == (1, True, held)
        assert "Successfully loaded" not in said.getvalue()
        assert (await first.renew()).identity.generation == 2
        host.cluster.clock.advance(dt.timedelta(minutes=20))
        again = host.bot()
        assert (await again.begin()).identity.generation == 3
        lines = said.getvalue()
        assert (
            "Successfully loaded bot identity, valid: after=2029-12-31T23:59:00Z, before=2030-01-01T01:00:00Z, "
            "duration=1h1m0s | kind=tls, renewable=true, disallow-reissue=false, roles=[bot-example], "
            "principals=[-teleport-internal-join], generation=2"
        ) in lines
        (note,) = [line for line in lines.splitlines() if "Note: onboarding config ignored" in line]
        assert " WARN " in note
        assert "as identity was loaded from persistent storage" in note
        assert set(host.place.files) == set(FILES)
        assert host.place.files["tokenhash"].decode() == hash_of(SECRET)
        assert host.place.files[NEXT] == b""

    on(story)


MOMENTS = [
    "check", f"before {NEXT}", f"after {NEXT}", "before key", "after key", "before tlscert", "after tlscert",
    "after tokenhash", "before asking", "after the answer",
]  # fmt: skip


@pytest.mark.parametrize("error", [Killed, full, lost])
@pytest.mark.parametrize("moment", MOMENTS[1:])
def test_a_first_join_recovers_from_every_moment(moment: str, error: Callable[[], BaseException]) -> None:
    """S1-25: the token is good for one bot, which may ask again with the key that it had stored before it asked."""

    async def story(host: Host) -> None:
        await struck(host, moment, 1, error)

    on(story)


async def struck(host: Host, moment: str, number: int, error: Callable[[], BaseException]) -> None:
    """Renew, or join, until it succeeds, while something happens when a moment comes for the n-th time."""
    bot, left = host.bot(), [number]

    def strike(now: str) -> None:
        left[0] -= now == moment
        if left[0] == 0 and now == moment:
            raise error()

    host.place.strike = host.door.strike = strike
    for _ in range(5):
        try:
            held = await (bot.renew() if bot.known else bot.begin())
        except Killed:
            bot = host.bot()
        except TeleportError as failure:
            if failure.code not in ("DISK-FULL", "API-UNAVAILABLE"):
                raise
        else:
            assert held.identity.generation == await host.generation()
    host.place.strike = host.door.strike = nothing
    held = await host.bot().begin()
    assert (held.identity.generation, host.place.files[NEXT]) == (await host.generation(), b"")
    assert await host.locks() == []


@pytest.mark.parametrize("moment", MOMENTS)
def test_it_recovers_from_every_moment(moment: str) -> None:
    """S1-10: by default a kill between issue and save is made good at the next start: the same request gets the same
    answer again. So are a full disk and a lost answer."""

    async def story(host: Host) -> None:
        await host.bot().begin()
        for error in (Killed, full, lost):
            for number in (1, 2, 3):
                host.cluster.clock.advance(dt.timedelta(minutes=20))
                await struck(host, moment, number, error)

    on(story)


def test_with_legacy_renewal_a_kill_locks_as_printed() -> None:
    """S1-01, S1-07, S1-10: kill between issue and save, restart: the seed's words, and the user is locked."""

    async def story(host: Host) -> None:
        bot = host.bot(legacy=True)
        await bot.begin()
        await bot.renew()
        host.door.strike = at("after the answer", Killed)
        with pytest.raises(Killed):
            await bot.renew()
        again = host.bot(legacy=True)
        error = await fails(again.begin())
        assert error.what == "renewable cert generation mismatch: stored=3, presented=2"
        assert again.current.identity.generation == 2
        (lock,) = await host.locks()
        assert lock.spec.target.user == USER
        assert (await fails(again.renew())).code == "POL-LOCKED"

    on(story)


def test_a_copied_directory_is_found() -> None:
    """S1-01, S1-07, S1-09: the second holder of a copied directory that renews is told so, and the user is locked."""

    async def story(host: Host) -> None:
        bot = host.bot()
        await bot.begin()
        await bot.renew()
        thief = Host(host.cluster, host.place.copy(), address=ELSEWHERE, hostname="laptop")
        await bot.renew()
        error = await fails(thief.bot().begin())
        assert error.what == "renewable cert generation mismatch: stored=3, presented=2"
        (event,) = await host.cluster.events("cert.generation_mismatch")
        assert (event["reason"], event["addr.remote"]) == ("fork", ELSEWHERE)
        assert len(await host.locks()) == 1

    on(story)


def test_an_instance_lives_as_long_as_certificates_that_were_given_again() -> None:
    """The repetition of a lost answer comes late, and its certificates end later than those that were lost."""

    async def story(host: Host) -> None:
        bot = host.bot()
        await bot.begin()
        host.cluster.clock.advance(dt.timedelta(minutes=5))
        host.door.strike = at("after the answer", lost)
        await fails(bot.renew())
        host.cluster.clock.advance(dt.timedelta(minutes=50))
        await bot.renew()
        host.cluster.clock.advance(dt.timedelta(minutes=30))
        await host.cluster.backend.sweep()
        assert (await bot.renew()).identity.generation == 3
        assert await host.locks() == []

    on(story)


def test_another_token_begins_a_new_life(said: io.StringIO) -> None:
    """S1-16, S1-17, S1-20: a new token is noticed before anything else, even where the identity has expired; nothing is
    cleaned by hand, the instance is a new one in its first generation."""

    async def story(host: Host) -> None:
        first = await host.bot().begin()
        host.cluster.clock.advance(dt.timedelta(days=4))
        await invite(host.cluster, SECOND)
        host.token = SECOND
        held = await host.bot().begin()
        assert held.identity.generation == 1
        assert held.identity.bot_instance_id != first.identity.bot_instance_id
        lines = said.getvalue()
        assert "Bot identity loaded from store does not match configured token" in lines
        assert "Identity has expired" not in lines
        assert "Note: onboarding" not in lines
        assert host.place.files["tokenhash"].decode() == hash_of(SECOND)
        assert (await host.bot().begin()).identity.generation == 2

    on(story)


def test_a_wrong_token_leaves_the_former_identity_where_it_is() -> None:
    async def story(host: Host) -> None:
        await host.bot().begin()
        host.token = SECOND
        bot = host.bot()
        assert "token expired or not found" in (await fails(bot.begin())).what
        assert not bot.known
        host.token = SECRET
        assert (await host.bot().begin()).identity.generation == 2

    on(story)


def test_an_expired_identity_of_a_token_is_kept_and_refused(said: io.StringIO) -> None:
    """S1-19, S1-20, S1-21, S1-24: three lines in this order, and no way back without a new token."""

    async def story(host: Host) -> None:
        await host.bot().begin()
        host.cluster.clock.advance(dt.timedelta(days=3, hours=21))
        bot = host.bot()
        error = await fails(bot.begin())
        assert isinstance(error, NotAuthenticated)
        assert [what for what, _ in host.door.asked] == ["join", "renew"]
        loaded, expired, note = said.getvalue().splitlines()[-3:]
        assert "Successfully loaded bot identity, valid: " in loaded
        assert " ERRO " in expired
        assert (
            "Identity has expired. The renewal is likely to fail. "
            "(expires: 2030-01-01T01:00:00Z, current time: 2030-01-04T21:00:00Z)"
        ) in expired
        assert "Note: onboarding config ignored as identity was loaded from persistent storage" in note
        assert bot.known

    on(story)


def test_a_used_token_is_good_for_nobody_else() -> None:
    """S1-25: the second join with the same token is told that it expired or is not there."""

    async def story(host: Host) -> None:
        await host.bot().begin()
        other = Host(host.cluster)
        assert "token expired or not found" in (await fails(other.bot().begin())).what

    on(story)


async def delegated(cluster: Cluster) -> Method:
    """Make a token of another method, which this proof satisfies."""
    spec = {"roles": ["Bot"], "bot_name": NAME, "join_method": "github", **GITHUB}
    await cluster.admin.create(document_of("token", "actions", spec))

    async def proven(request: object) -> object:
        from teleport.auth.join.method import Proven

        return Proven(attributes={"repository": "a/b"})

    cluster.service._join_methods["github"] = proven  # type: ignore[index]
    return Shows("github")


def test_other_methods_prove_it_again_each_time() -> None:
    """S1-05, S1-24: the same instance goes on while certificates show it, a new one begins after their end; an old copy
    is no reason for a lock."""

    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        host = Host(cluster, token="actions", method=await delegated(cluster))
        first = await host.bot(method="github").begin()
        assert not first.identity.renewable
        copy = Host(cluster, host.place.copy(), "actions", method=host.door.method, address=ELSEWHERE)
        bot = host.bot(method="github")
        second = await bot.begin()
        assert second.identity.bot_instance_id == first.identity.bot_instance_id
        assert (await bot.renew()).identity.generation == 3
        assert (await copy.bot(method="github").begin()).identity.generation == 4
        cluster.clock.advance(dt.timedelta(days=1))
        anew = await host.bot(method="github").begin()
        assert (anew.identity.bot_instance_id == first.identity.bot_instance_id, anew.identity.generation) == (False, 1)
        cluster.clock.advance(dt.timedelta(days=1))
        assert (await bot.renew()).identity.generation == 1
        assert [what for what, _ in host.door.asked] == ["join", "join again", "join again", "join", "join"]
        assert await host.locks() == []

    run(story)


def test_who_is_not_recognised_joins_as_a_new_instance(said: io.StringIO) -> None:
    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        host = Host(cluster, token="actions", method=await delegated(cluster))
        bot = host.bot(method="github")
        await bot.begin()
        gone = at("before asking", lambda: NotAuthenticated("API-EXPIRED", name=USER, expired="now"))
        host.door.strike = gone
        assert (await bot.renew()).identity.generation == 1
        assert "was not recognised" in said.getvalue()
        host.door.strike = at("before asking", lambda: AccessDenied("AUTH-BOT-GONE", bot=NAME))
        assert (await fails(bot.renew())).code == "AUTH-BOT-GONE"

    run(story)


def test_without_identity_and_token_there_is_no_way() -> None:
    async def story(host: Host) -> None:
        host.token = ""
        bot = host.bot()
        error = await fails(bot.begin())
        assert error.what == "no existing identity found on disk or join token configured"
        with pytest.raises(Internal):
            _ = bot.current

    on(story)


def test_a_token_that_cannot_be_read_matters_only_to_who_must_join(said: io.StringIO) -> None:
    async def story(host: Host) -> None:
        await host.bot().begin()

        def unreadable() -> str:
            raise NotFound("DISK-MISSING", path="/etc/bot-token")

        bot = host.bot()
        bot._token = unreadable
        assert (await bot.begin()).identity.generation == 2
        assert "The join token was not read" in said.getvalue()
        assert "Note: onboarding" not in said.getvalue()
        host.place.files.clear()
        other = host.bot()
        other._token = unreadable
        assert (await fails(other.begin())).code == "DISK-MISSING"
        assert "the stored identity is used" not in said.getvalue()  # there is none

    on(story)


def test_damage_is_named_and_a_new_token_heals_it(said: io.StringIO) -> None:
    async def story(host: Host) -> None:
        await host.bot().begin()
        host.place.files["tlscert"] = host.place.files["tlscert"][:100]
        error = await fails(host.bot().begin())
        assert (error.code, "tlscert in directory: /var/lib/teleport/bot" in error.what) == (
            "BOT-STORAGE-CORRUPT",
            True,
        )
        await invite(host.cluster, SECOND)
        host.token = SECOND
        assert (await host.bot().begin()).identity.generation == 1
        assert "damaged and belongs to another token" in said.getvalue()

    on(story)


async def overwrite(host: Host) -> None:
    """Write what an output gets over the storage."""
    held = await host.bot().begin()
    key = make_key(host.cluster.entropy)
    ssh, tls = public_keys(key)
    calls = BotCalls(host.cluster.client(Caller(held.identity, HOME)))
    made = await calls.issue(Output(ssh_public_key=ssh, tls_public_key=tls))
    await host.place.write(identity_set(held_of(key, made)))


def test_what_an_output_wrote_over_the_storage_is_not_taken_for_its_own(said: io.StringIO) -> None:
    """It cannot be renewed: to use it would use up the token in vain, and hide what happened."""

    async def story(host: Host) -> None:
        await overwrite(host)
        asked = len(host.door.asked)
        bot = host.bot()
        error = await fails(bot.begin())
        assert (error.code, bot.known, len(host.door.asked)) == ("BOT-STORAGE-OUTPUT", False, asked)
        assert error.what.endswith("/bot are not the bot's own: they are for bot-example with the roles access")
        assert "tbot recover" in error.fix
        assert "Successfully loaded" not in said.getvalue()
        await invite(host.cluster, SECOND)
        host.token = SECOND
        assert (await host.bot().begin()).identity.generation == 1
        assert (await host.bot().begin()).identity.generation == 2
        assert await host.locks() == []

    on(story)


def test_an_output_over_the_storage_is_not_joined_over_either() -> None:
    """With a method that proves itself anew each time, too: the folder may be another bot's output."""

    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        host = Host(cluster, token="actions", method=await delegated(cluster))
        await overwrite(host)
        before = dict(host.place.files)
        del before["tokenhash"], host.place.files["tokenhash"]
        assert (await fails(host.bot(method="github").begin())).code == "BOT-STORAGE-OUTPUT"
        host.token = SECOND
        assert (await fails(host.bot(method="github").begin())).code == "BOT-STORAGE-OUTPUT"
        assert host.place.files == before

    run(story)


def test_certificates_for_another_key_are_not_taken() -> None:
    async def story(host: Host) -> None:
        bot = host.bot()
        held = await bot.begin()
        before = dict(host.place.files)

        async def swapped(held: Any, key: str) -> Any:
            return held

        host.door.renew = swapped  # type: ignore[method-assign]
        assert (await fails(bot.renew())).code == "BOT-IDENTITY-REPLY"
        assert bot.current is held
        assert {name: data for name, data in host.place.files.items() if name != NEXT} == {
            name: data for name, data in before.items() if name != NEXT
        }

    on(story)


def test_renewals_at_once_follow_each_other() -> None:
    async def story(host: Host) -> None:
        bot = host.bot()
        await bot.begin()
        made = await asyncio.gather(*(bot.renew() for _ in range(4)))
        assert sorted(each.identity.generation for each in made) == [2, 3, 4, 5]

    on(story)
