"""Schedules: what may happen to a bot, its disk, its clock and the network, played against the Auth Service's own code.

A schedule is a number. From it follow storms, in which everything goes wrong, calms, in which it does not, and what is
done to the bot: nothing, moved with its storage, copied, or put back to what its storage was. Two Auth Services share
one store. What must hold at the end stands in `Schedule.verdict`.

    python -m tests.simulation.bot_schedules 100000            many, on every processor
    python -m tests.simulation.bot_schedules 1 --seed 42       one again, and what happened in it
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import itertools
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from types import SimpleNamespace
from typing import Any, TypeVar

from teleport.api.bot_calls import BotCalls
from teleport.api.bot_messages import Renewal
from teleport.api.caller import Caller
from teleport.api.join_calls import JoinCalls
from teleport.api.join_messages import Asked
from teleport.base.clock import Clock
from teleport.base.errors import TeleportError, Unavailable
from teleport.bot.identity import OwnIdentity
from teleport.bot.parts import Held
from teleport.client.joining.join import converse
from teleport.client.joining.token import TokenMethod
from teleport.model.events.base import document
from teleport.model.kinds.bot_instance import BotInstance
from teleport.model.kinds.lock import Lock
from teleport.store.audit.search import Query
from tests.simulation.bot_world import Auth, copy_of_store, held_of, own_identity, prepare, public_keys, quiet
from tests.support.bot_doors import Killed, Line, Place, full, lost
from tests.support.joiner import SECRET
from tests.support.virtual_loop import current, run

T = TypeVar("T")

INTERVAL = 1200.0
PATIENCE = 30.0
"""Seconds after which a call is given up, though it may still be on its way."""
LATEST = 900.0
"""Seconds after which nothing that was given up arrives any more: the kernel has given up too."""
STORM, CALM = (60.0, 1500.0), (1300.0, 1600.0)
"""Seconds: certificates of an hour that are renewed every 20 minutes outlast a storm."""
LAST_CALM = 2700.0
"""Seconds: each bot that runs renews twice at least."""
REFUSALS = ("POL-LOCKED", "AUTH-BOT-GENERATION")
EXPECTED = (
    "API-UNAVAILABLE", "DISK-FULL", "AUTH-TOKEN-USED", "AUTH-TOKEN-REMOVED",
    "AUTH-JOIN-CHANGED", "AUTH-BOT-LATE",
)  # fmt: skip
"""What a bot may be told without anything being wrong: it asks again. The last two come of two requests at once."""
FATES = ("good", "refused", "swallowed", "mute", "twice", "held")


class Shifted:
    """A clock that is wrong by a constant."""

    def __init__(self, clock: Clock, by: float) -> None:
        self._clock, self._by = clock, dt.timedelta(seconds=by)

    def now(self) -> dt.datetime:
        return self._clock.now() + self._by


class Net:
    """What becomes of calls on their way."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._random = schedule.random
        self._under_way: set[asyncio.Task[Any]] = set()
        self.weights = [4.0, *(self._random.choice((0, 0, 1, 3)) for _ in FATES[1:])]

    async def ask(self, host: Host, work: Callable[[Auth], Awaitable[T]]) -> T:
        """Have a request done, or not, or twice, or late; and its answer told, or not."""
        draw, schedule = self._random, self._schedule
        fate = draw.choices(FATES, self.weights)[0] if schedule.stormy else "good"
        if current().time() < host.cut_until and (schedule.stormy or host.away):
            fate = draw.choice(("refused", "swallowed", "held")) if schedule.stormy else "refused"
        schedule.note(f"{host.name} asks: {fate}")
        if fate == "refused":
            raise lost()
        first = None
        for _ in range(2 if fate == "twice" else int(fate != "swallowed")):
            delay = draw.uniform(0, LATEST if fate == "held" else 2) * (draw.random() if fate == "twice" else 1)
            task = asyncio.get_running_loop().create_task(self._deliver(host, delay, work))
            self._under_way.add(task)
            task.add_done_callback(self._done)
            first = first or task
        async with asyncio.timeout(PATIENCE):
            answer = await asyncio.shield(first) if first and fate != "mute" else await asyncio.sleep(PATIENCE * 2)
        await asyncio.sleep(draw.uniform(0, 1))
        return answer  # type: ignore[return-value]

    async def _deliver(self, host: Host, delay: float, work: Callable[[Auth], Awaitable[T]]) -> T:
        auth = self._random.choice(self._schedule.auths)
        await asyncio.sleep(delay)
        try:
            return await work(auth)
        except TeleportError as error:
            self._schedule.note(f"{host.name} is told {error.code}")
            raise

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, TeleportError):
            self._schedule.defects.append(error)

    async def settle(self) -> None:
        """Let everything arrive that ever will."""
        while self._under_way:
            await asyncio.wait(self._under_way)


class Host:
    """A machine with a storage, on which the bot runs, dies and is started again."""

    def __init__(self, schedule: Schedule, name: str, place: Place, address: str) -> None:
        self.schedule, self.name, self.place, self.address = schedule, name, place, address
        self.random = random.Random(schedule.random.random())
        self.clock = Shifted(current().clock, self.random.choice((0, 0, self.random.uniform(-600, 600))))
        self.place.strike = self.strike
        self.own: OwnIdentity | None = None
        self.good: list[float] = []
        """When there was a fresh identity."""
        self.refused = self.expired = ""
        self.started = 0.0
        self.cut_until = self.full_until = 0.0
        self.away = False
        """Whether it has been cut off for long, when everything else was over."""
        self._task: asyncio.Task[None] | None = None

    # What the bot needs of the world: `bot.identity.Door`

    async def join(self, key: str, former: Held | None) -> Held:
        ssh, tls = public_keys(key)
        asked = Asked(
            token=SECRET, ssh_public_key=ssh, tls_public_key=tls, system_role="Bot", host_name=self.name,
            join_method="token",
        )  # fmt: skip

        async def work(auth: Auth) -> Held:
            async with JoinCalls(self._client(auth, former)).open() as conversation:
                return held_of(key, (await converse(conversation, asked, TokenMethod())).certificates)

        return await self._ask(work)

    async def renew(self, held: Held, key: str) -> Held:
        ssh, tls = public_keys(key)

        def wanted(told: int) -> Renewal:
            return Renewal(ssh_public_key=ssh, tls_public_key=tls, hostname=self.name, host_id=self.name, told=told)

        async def work(auth: Auth, told: int = -1) -> Held:
            return held_of(key, await BotCalls(self._client(auth, held)).renew(wanted(told)))

        try:
            return await self._ask(work)
        except TeleportError as error:
            if error.code != "AUTH-BOT-LATE":
                raise
            told = int(error.fields["stored"])
        return await self._ask(lambda auth: work(auth, told))

    async def _ask(self, work: Callable[[Auth], Awaitable[Held]]) -> Held:
        try:
            return await self.schedule.net.ask(self, work)
        except TimeoutError:
            raise Unavailable("API-UNAVAILABLE", problem="no answer came in time") from None

    def _client(self, auth: Auth, held: Held | None) -> Any:
        caller = Caller(held.identity if held else None, self.address)
        return SimpleNamespace(channel=Line(auth, caller, auth.clock))  # type: ignore[arg-type]

    # What happens to it

    def strike(self, moment: str) -> None:
        """Let the machine lose power, or the disk be full, at a moment of the storage's work."""
        if not self.schedule.stormy:
            return
        if moment.startswith(("before", "check")) and current().time() < self.full_until:
            self.schedule.note(f"{self.name}: no room {moment}")
            raise full()
        if self.random.random() < self.schedule.deadly:
            self.schedule.note(f"{self.name} dies {moment}")
            raise Killed

    def start(self) -> None:
        """Start the bot."""
        self.started = self.started or current().time()
        self._task = asyncio.get_running_loop().create_task(self._live())

    async def stop(self) -> None:
        """Kill the bot for good."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self.own = None

    async def _live(self) -> None:
        while not self.refused:
            try:
                async with asyncio.timeout(self.random.expovariate(self.schedule.deaths) or 1.0):
                    await self._run()
            except (Killed, TimeoutError):
                self.schedule.note(f"{self.name} is down")
            await asyncio.sleep(self.random.uniform(0.1, 90))

    async def _run(self) -> None:
        own = self.own = own_identity(
            self.place, self.schedule.whole, self, token=lambda: SECRET, method="token", clock=self.clock,
            entropy=current().entropy,
        )  # fmt: skip
        begun, failures = False, 0
        while not self.refused:
            try:
                again = begun or (own.known and self.random.random() < 0.5)
                await (own.renew() if again else own.begin())
                begun, failures = True, 0
                self._fresh(own.current)
                signalled = self.random.random() < self.schedule.signals
                await asyncio.sleep(
                    self.random.uniform(90, 300) if signalled else self.random.uniform(0.9, 1) * INTERVAL
                )
            except TeleportError as error:
                failures += 1
                self._failed(error)
                await asyncio.sleep(min(300.0 if self.away else 60.0, 2.0**failures) * self.random.uniform(0.5, 1))

    def _fresh(self, held: Held) -> None:
        self.good.append(current().time())
        if self.schedule.over and not self.away:
            self.away, self.cut_until = True, current().time() + self.schedule.absence
        self.schedule.note(f"{self.name} has generation {held.identity.generation}")

    def _failed(self, error: TeleportError) -> None:
        self.schedule.note(f"{self.name} fails: {error.code}")
        if error.code in REFUSALS:
            self.refused = error.code
        elif error.code == "API-EXPIRED":
            self.expired = error.code
        elif error.code not in EXPECTED:
            self.schedule.defects.append(error)


class Schedule:
    """One schedule from its seed to its verdict."""

    def __init__(self, seed: int, whole: bool) -> None:
        self.seed, self.whole = seed, whole
        self.random = random.Random(seed)
        self.notes: list[str] = []
        self.defects: list[BaseException] = []
        self.stormy = False
        self.deed = self.random.choice(("none", "none", "moved", "copied", "copied", "put back"))
        self.deadly = self.random.choice((0, 0.01, 0.04))
        """How likely each moment of the storage's work is the last one."""
        self.deaths = 1.0 / self.random.choice((1e9, 3000, 900))
        """How often the bot dies for other reasons, once in so many seconds; in calms it does as well."""
        self.signals = self.random.choice((0, 0.3, 0.6))
        """How likely somebody asks for the next renewal before its time. No more than ten come while a request can be
        late: so many generations does an instance remember."""
        self.absence = self.random.choice((0.0, 0.0, self.random.uniform(600, 2700)))
        """Seconds for which the bot is away after the last storm, from its first renewal on."""
        self.over = False
        """Whether the last storm has passed."""
        self.behind = 0
        """How many generations a storage that was put back has lost."""

    def note(self, text: str) -> None:
        self.notes.append(f"{current().time():9.2f} {text}")

    async def play(self) -> str:
        """Play it. Returns what was found: `calm`, `locked`, ... Raises AssertionError for a broken promise."""
        self.backend, signer = copy_of_store(current().clock)
        clocks = (current().clock, Shifted(current().clock, self.random.uniform(-60, 60)))
        self.auths = [
            Auth(self.backend, f"sim-{number}", clock, current().entropy, signer, self.whole)
            for number, clock in enumerate(clocks)
        ]
        self.net = Net(self)
        host = Host(self, "first", Place(), "192.0.2.7:40000")
        self.hosts = [host]
        host.start()
        deed = asyncio.get_running_loop().create_task(self._do(host))
        for left in reversed(range(self.random.choice((1, 1, 2)))):
            await self._storm()
            self.over = not left
            await asyncio.sleep(self.random.uniform(*CALM))
        await deed
        await asyncio.sleep(self.absence + LAST_CALM)
        await self.net.settle()
        try:
            return await self.verdict()
        finally:
            for each in self.hosts:
                await each.stop()
            await self.backend.close()

    async def _storm(self) -> None:
        end = current().time() + self.random.uniform(*STORM)
        self.stormy = True
        self.note("storm")
        while current().time() < end:
            for host in self.hosts:
                if self.random.random() < 0.2:
                    host.cut_until = current().time() + self.random.uniform(1, 600)
                if self.random.random() < 0.2:
                    host.full_until = current().time() + self.random.uniform(1, 600)
            await asyncio.sleep(min(self.random.uniform(1, 300), end - current().time()))
        self.stormy = False
        self.note("calm")

    async def _do(self, host: Host) -> None:
        """Do to the bot what this schedule is about."""
        if self.deed == "none":
            return
        await asyncio.sleep(self.random.uniform(0, 3600))
        before = host.place.copy()
        if self.deed == "copied":
            copy = Host(self, "second", before, "198.51.100.4:50000")
            self.note("copied")
            await asyncio.sleep(self.random.choice((0, self.random.uniform(0, 3000))))
        elif self.deed == "moved":
            await host.stop()
            copy = Host(self, "second", host.place.copy(), "198.51.100.4:50000")
            self.note("moved")
            await asyncio.sleep(self.random.uniform(0, 300))
        else:
            had = await self.generation()
            await asyncio.sleep(self.random.uniform(0, 2400))
            await host.stop()
            await asyncio.sleep(LATEST + 60)  # whatever it had asked for is over
            self.behind = await self.generation() - had
            copy = Host(self, "second", before, host.address)
            self.note(f"put back by {self.behind}")
        self.hosts.append(copy)
        copy.start()

    async def instances(self) -> list[BotInstance]:
        return list(await self.auths[0].store.list(BotInstance))

    async def generation(self) -> int:
        """What was given last; 0 before the first."""
        return max((each.latest.generation for each in await self.instances()), default=0)

    async def verdict(self) -> str:
        """Return how it ended, or say which promise was broken."""
        locks = await self.auths[0].store.list(Lock)
        if self.defects:
            raise self.defects[0]
        mismatches = await self._mismatches()
        assert bool(locks) == bool(mismatches), "a lock and its event come together"
        if self.deed in ("none", "moved"):
            assert not locks, "nobody else had the storage, and the bot is locked"
        found = await self.instances()
        assert len(found) <= 1 or "put back" in self.deed, "one token has made two instances"
        if locks:
            assert self.deed == "copied" or self.behind, "what was put back had lost nothing"
            assert len(locks) == 1, "it is locked twice"
            self._evidence(mismatches[0])
            return f"{self.deed}: found"
        alive = [host for host in self.hosts if host.own is not None and self._is_fresh(host)]
        if self.deed == "copied":
            assert len(alive) <= 1, "two hold certificates of one instance and nobody has noticed"
        if self.deed in ("none", "moved"):
            assert alive == [self.hosts[-1]], "the bot has its storage and has not recovered"
            held = self.hosts[-1].own.current.identity  # type: ignore[union-attr]
            given = await self.generation()  # one more, where an answer is on its way
            assert given - 1 <= held.generation <= given, "its identity is not the last one"
            return f"{self.deed}: recovered"
        return f"{self.deed}: {'expired' if not alive else 'one goes on'}"

    def _is_fresh(self, host: Host) -> bool:
        return bool(host.good) and host.good[-1] > current().time() - INTERVAL - 120

    async def _mismatches(self) -> list[dict[str, Any]]:
        query = Query(types=frozenset({"cert.generation_mismatch"}), newest_first=False, limit=10)
        return [document(entry.event) for entry in (await self.auths[0].trail.search(query)).entries]

    def _evidence(self, event: dict[str, Any]) -> None:
        assert event["hostname"] == event["host_id"] != "", "the event does not say who asked"
        assert event.get("other_time"), "the event does not say when the other one asked"
        if self.deed == "copied":
            addresses = {event["addr.remote"], event["other_addr_remote"]}
            assert addresses == {host.address for host in self.hosts}, "the event does not name both addresses"
            assert {event["hostname"], event["other_hostname"]} == {"first", "second"}, "nor both hosts"


def play(seed: int, *, whole: bool = False, notes: list[str] | None = None) -> str:
    """Play a schedule and return how it ended. Raises AssertionError, with the seed, where a promise was broken."""
    prepare()
    schedule = Schedule(seed, whole)
    try:
        with quiet():
            return run(schedule.play(), seed=seed)
    except BaseException as error:
        error.add_note(f"replay: python -m tests.simulation.bot_schedules 1 --seed {seed}{' --whole' * whole}")
        raise
    finally:
        if notes is not None:
            notes += schedule.notes


def play_many(seeds: range, whole: bool = False) -> tuple[Counter[str], list[str]]:
    """Play schedules; return how many ended how, and those that broke a promise."""
    tally: Counter[str] = Counter()
    broken = []
    for seed in seeds:
        try:
            tally[play(seed, whole=whole)] += 1
        except Exception as error:
            broken.append(f"seed {seed}: {type(error).__name__} {error}")
    return tally, broken


def main() -> int:
    """Print the seed, counts by ending, and broken promises."""
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 40))
    parser.add_argument("--whole", action="store_true", help="with real certificates")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    if options.count == 1:
        notes: list[str] = []
        try:
            print(play(options.seed, whole=options.whole, notes=notes))  # noqa: T201
        finally:
            print("\n".join(notes))  # noqa: T201
        return 0
    began = time.monotonic()
    print(f"schedules: seed {options.seed}", flush=True)  # noqa: T201
    ends = [options.seed + options.count * part // (options.jobs * 20) for part in range(options.jobs * 20 + 1)]
    tally: Counter[str] = Counter()
    broken: list[str] = []
    with ProcessPoolExecutor(options.jobs, initializer=prepare) as pool:
        parts = [range(*pair) for pair in itertools.pairwise(ends)]
        for counted, failed in pool.map(play_many, parts, [options.whole] * len(parts)):
            tally += counted
            broken += failed
    for name, number in sorted(tally.items()):
        print(f"schedules: {number:7} {name}")  # noqa: T201
    for line in broken[:20]:
        print(f"schedules: BROKEN {line}")  # noqa: T201
    took = time.monotonic() - began
    print(f"schedules: {options.count} played in {took:.0f} s, {len(broken)} broke a promise")  # noqa: T201
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
