"""The life of a bot in front of a real TLS port: once and for good, with an identity that cannot be renewed, and to the
end."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from teleport.base import tasks
from teleport.base.disk import MemoryDisk
from teleport.base.errors import AccessDenied, BadParameter, TeleportError, Unavailable
from teleport.base.struct import Switch
from teleport.bot import rotation
from teleport.bot.destinations.memory import Memory
from teleport.bot.held import make_key
from teleport.bot.onboarding import Door
from teleport.bot.run import KEPT, BotProcess, World
from teleport.model.config.tbot_destinations import DirectoryDestination, MemoryDestination
from teleport.model.config.tbot_services import IdentityOutput, SshMultiplexer
from teleport.model.config.tbot_yaml import Onboarding, TbotYaml
from teleport.model.kinds.cert_authority import CertAuthority, SshKey
from teleport.net.network import SystemNetwork
from teleport.net.socket_stream import SocketStream
from teleport.pki import x509
from tests.support.auth_door import OpenDoor, open_door
from tests.support.bots import make_bot
from tests.support.joiner import SECRET
from tests.support.log_lines import said
from tests.support.until import until

__all__ = ["said"]

OUTPUT = IdentityOutput(destination=MemoryDestination(), ssh_config=Switch(False))


class Gate(SystemNetwork):
    """A network that is there or not."""

    closed = False

    async def dial(self, address: str) -> SocketStream:
        if self.closed:
            raise Unavailable("NET-REFUSED", address=address)
        return await super().dial(address)


class Bench:
    """Bots in front of a port, with what they have written."""

    def __init__(self, door: OpenDoor) -> None:
        self.door = door
        self.cluster = door.cluster
        self.network = Gate()
        self.storage = Memory()
        self.written: list[Memory] = []

    def destination(self, section: object) -> Memory:
        """The first is the storage, which stays from one bot to the next."""
        self.written.append(self.storage if not self.written else Memory())
        return self.written[-1]

    async def bot(self, *services: Any, **config: Any) -> BotProcess:
        (root,) = await self.door.authorities()
        self.written.clear()
        settings: dict[str, Any] = {
            "auth_server": self.door.address,
            "onboarding": Onboarding(token=SECRET, join_method="token", ca_pins=(x509.pin(root),)),
            "storage": MemoryDestination(),
            "services": services or (OUTPUT,),
            **config,
        }
        world = World(
            clock=self.cluster.clock, entropy=self.cluster.entropy, disk=MemoryDisk(), network=self.network,
            environment={}, destination=self.destination, host_name="machine-1", tbot="/bin/tbot",
        )  # fmt: skip
        return BotProcess(TbotYaml(**settings), world)


def on(story: Callable[[Bench], Awaitable[None]]) -> None:
    async def main() -> None:
        async with open_door() as door:
            await make_bot(door.cluster, "access")
            await story(Bench(door))

    asyncio.run(main())


async def until_ready(bot: BotProcess, running: asyncio.Task[None]) -> None:
    await until(lambda: running.done() or (bot.health.conditions and bot.health.ready))
    assert not running.done(), running


def start(bot: BotProcess) -> asyncio.Task[None]:
    return tasks.spawn(bot.run(), name="bot", on_error=lambda error: None)


def test_once_writes_what_there_is_to_write_and_ends():
    async def story(bench: Bench) -> None:
        await (await bench.bot(OUTPUT, OUTPUT, oneshot=Switch(True))).run()
        for place in bench.written[1:]:
            assert (await place.read("identity") or b"").startswith(b"-----BEGIN PRIVATE KEY-----")
        (instance,) = [each async for each in bench.cluster.admin.list("bot_instance")]
        assert instance.status.latest_heartbeats[-1].one_shot
        assert instance.hostname == "machine-1"

    on(story)


def test_what_listens_cannot_run_once():
    async def story(bench: Bench) -> None:
        mux = SshMultiplexer(destination=DirectoryDestination(path="/opt/mux"))
        with pytest.raises(BadParameter) as caught:
            await bench.bot(OUTPUT, mux, oneshot=Switch(True))
        assert (caught.value.code, caught.value.fields["service"]) == ("BOT-NOT-ONCE", "ssh-multiplexer-2")

    on(story)


def test_an_output_cannot_have_the_folder_of_the_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """S1-50: before anything is asked for or written."""
    monkeypatch.chdir(tmp_path)

    async def story(bench: Bench) -> None:
        storage, out = (DirectoryDestination(path=path) for path in ("own", f"{tmp_path}/own"))
        bot = await bench.bot(IdentityOutput(destination=out), storage=storage, oneshot=Switch(True))
        with pytest.raises(BadParameter) as caught:
            await bot.run()
        assert caught.value.code == "TBOT-IDENTICAL"
        assert [each async for each in bench.cluster.admin.list("bot_instance")] == []

    on(story)


def test_a_bot_runs_renews_when_asked_and_stops():
    async def story(bench: Bench) -> None:
        bot = await bench.bot()
        running = start(bot)
        await until_ready(bot, running)
        first = await bench.written[1].read("tlscert")
        bot.reload()
        await until(lambda: bot.identity.current.identity.generation == 2)
        tally = bot.tallies["identity-output-1", "output-renewal"]
        await until(lambda: tally.rounds == 2 and tally.retries.count == 2)
        assert await bench.written[1].read("tlscert") != first
        bot.stop()
        await running

    on(story)


def test_a_service_that_listens_again_is_healthy_again():
    async def story(bench: Bench) -> None:
        bot = await bench.bot()
        (service,) = bot.services
        found: list[str] = []

        async def serve(_: object, ready: Callable[[], None]) -> None:
            if not found:
                await until(lambda: bot.health.conditions[service.name].state == "healthy")
                found.append("listened")
                raise Unavailable("MUX-SOCKET", path="/opt/mux/v1.sock", problem="gone")
            found.append(bot.health.conditions[service.name].state)
            ready()
            found.append(bot.health.conditions[service.name].state)
            await asyncio.Event().wait()

        service.serve = serve
        running = start(bot)
        await until(lambda: len(found) == 3)
        assert found == ["listened", "unhealthy", "healthy"]
        bot.stop()
        await running

    on(story)


def test_outputs_wait_for_an_identity_that_is_kept_until_it_can_be_renewed(said: io.StringIO):
    """Without the cluster, what is stored is kept, and asked for again."""

    async def story(bench: Bench) -> None:
        await (await bench.bot(oneshot=Switch(True))).run()
        bench.network.closed = True
        bot = await bench.bot()
        running = start(bot)
        await until(lambda: KEPT in said.getvalue())
        assert await bench.written[1].read("tlscert") is None
        assert bot.health.conditions["identity"].state == "unhealthy"
        bench.network.closed = False
        await until_ready(bot, running)
        assert await bench.written[1].read("tlscert")
        bot.stop()
        await running

    on(story)


def test_without_any_identity_a_join_that_fails_ends_the_process():
    async def story(bench: Bench) -> None:
        bench.network.closed = True
        with pytest.raises(TeleportError):
            await (await bench.bot()).run()

    on(story)


def test_a_bot_whose_place_somebody_took_ends():
    """S1-01: nobody is served by a bot that goes on as if nothing were."""

    async def story(bench: Bench) -> None:
        bot = await bench.bot()
        running = start(bot)
        await until_ready(bot, running)
        door = bot._door
        assert isinstance(door, Door)
        held = bot.identity.current
        for _ in range(2):
            held = await door.renew(held, make_key(bench.cluster.entropy))
        bot.reload()
        with pytest.raises(AccessDenied) as caught:
            await running
        assert caught.value.what == "renewable cert generation mismatch: stored=3, presented=1"

    on(story)


def test_everything_is_renewed_when_an_authority_changes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rotation, "CALM", 0.0)

    async def story(bench: Bench) -> None:
        bot = await bench.bot()
        running = start(bot)
        await until_ready(bot, running)
        await bench.cluster.service.store.upsert(await _with_another_key(bench))
        await until(lambda: running.done() or bot.identity.current.identity.generation == 2)
        bot.stop()
        with suppress(asyncio.CancelledError):
            await running

    on(story)


async def _with_another_key(bench: Bench) -> CertAuthority:
    found = await bench.cluster.service.authorities.own("user")
    more = msgspec.structs.replace(found.spec.additional_trusted_keys, ssh=(SshKey(public_key=_KEY),))
    return msgspec.structs.replace(found, spec=msgspec.structs.replace(found.spec, additional_trusted_keys=more))


_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0Uw0ePuFFXBCpFxMQAsfBVgmf4HhDVs0OX2n0BdOPM"
