"""The multiplexer: what it writes, and what it asks of its clients."""

from __future__ import annotations

import asyncio
import socket

import pytest

from teleport.base.disk import MemoryDisk
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import BadParameter, NotFound
from teleport.bot.multiplexer import service
from teleport.bot.multiplexer.service import Multiplexer
from teleport.bot.outputs.certified import Certified
from teleport.model.config.tbot_destinations import DirectoryDestination
from teleport.model.config.tbot_services import SshMultiplexer
from teleport.wire import ssh_agent
from tests.support.bot_facts import HELD, PROXY
from tests.support.bot_outputs import Issuing, Place, means


def made(**changes: object) -> Multiplexer:
    section = SshMultiplexer(destination=DirectoryDestination(path="/opt/mux"), **changes)  # type: ignore[arg-type]
    return Multiplexer(
        section, Place("/opt/mux"), None, name="mux", interval=1.0, tbot="/usr/bin/tbot",  # type: ignore[arg-type]
        environment={}, entropy=SeededEntropy(1), disk=MemoryDisk(),
    )  # fmt: skip


def test_the_configuration_names_both_sockets() -> None:
    text = made()._files(HELD, PROXY, "example.com")["ssh_config"].decode()
    assert '    IdentityAgent "/opt/mux/agent.sock"\n    IdentityFile none\n' in text
    assert (
        '    ProxyCommand "/usr/bin/tbot" ssh-multiplexer-proxy-command /opt/mux/v1.sock %h:%p\n'
        "    ProxyUseFdpass yes\n"
    ) in text


def test_another_command_may_take_the_place_of_tbot() -> None:
    text = made(proxy_command=("/usr/bin/fdpass-teleport",))._files(HELD, PROXY, "example.com")["ssh_config"].decode()
    assert '    ProxyCommand "/usr/bin/fdpass-teleport" /opt/mux/v1.sock %h:%p\n' in text


def test_templates_are_read_before_anything_else() -> None:
    with pytest.raises(NotFound):
        asyncio.run(made(proxy_templates_path="/etc/templates.yaml").prepare())


def test_it_takes_certificates_into_use_and_keeps_no_key_on_disk() -> None:
    place, bot = Place("/opt/mux"), Issuing()

    async def main() -> None:
        section = SshMultiplexer(destination=DirectoryDestination(path="/opt/mux"), roles=("access",))
        here = means(place)
        certified = Certified(place, ttl=here.ttl, clock=here.clock, entropy=here.entropy)
        one = Multiplexer(
            section, place, certified, name="mux", interval=1.0, tbot="/usr/bin/tbot", environment={},
            entropy=SeededEntropy(1), disk=MemoryDisk(),
        )  # fmt: skip
        await one.prepare()
        await one.generate(bot)
        assert [wanted.roles for wanted in bot.asked] == [("access",)]
        assert set(place.files) == set(place.names) == {"ssh_config", "known_hosts"}
        assert b"PRIVATE" not in b"".join(place.files.values())
        (shown,) = ssh_agent.read_identities(one._agent.answer(ssh_agent.list_identities()[4:])[4:])
        assert shown.comment == "teleport:example.com:bot-example"

    asyncio.run(main())


def asked(*pieces: bytes) -> tuple[str, bytes]:
    async def main() -> tuple[str, bytes]:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        with ours, theirs:
            for piece in pieces:
                await asyncio.get_running_loop().sock_sendall(ours, piece)
            ours.shutdown(socket.SHUT_WR)
            return await service._target(theirs)

    return asyncio.run(main())


def test_a_client_says_where_to_and_goes_on() -> None:
    assert asked(b"node-1:3", b"022\0SSH-2.0-x\r\n") == ("node-1:3022", b"SSH-2.0-x\r\n")


@pytest.mark.parametrize("data", [b"", b"node-1:3022", b"x" * 5000, b"\xff\0"])
def test_what_is_no_target(data: bytes) -> None:
    with pytest.raises(BadParameter) as caught:
        asked(data)
    assert caught.value.code == "MUX-TARGET"
