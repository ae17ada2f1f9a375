"""Handing over: what a process leaves to the next one, with real processes and sockets."""

import asyncio
import json
import os
import socket
import sys

import pytest

from teleport.base.errors import BadParameter, Unavailable
from teleport.net.network import SystemNetwork
from teleport.process.handover import PIPE, VARIABLE, Command, Inherited, Successor

HEIR = """
import os, sys
from teleport.process.handover import VARIABLE, Inherited
left = Inherited.of(os.environ.pop(VARIABLE))
left.ready()
for _ in range(2):
    for sock in left.sockets.values():
        sock.setblocking(True)
    taken, _ = left.sockets[sys.argv[1]].accept()
    taken.sendall(" ".join(sorted(left.sockets)).encode())
    taken.close()
"""


async def nobody(stream):
    await asyncio.Event().wait()


def started(source, *arguments):
    return Command([sys.executable, "-c", source, *arguments], dict(os.environ))


def test_the_next_process_has_the_listeners(tmp_path):
    async def body():
        network, path = SystemNetwork(), f"unix:{tmp_path}/s"
        tcp, unix = await network.listen("127.0.0.1:0", nobody), await network.listen(path, nobody)
        successor = Successor(started(HEIR, "127.0.0.1:0"), network)
        assert await successor.start() > 0
        assert network.listening().keys() == {"127.0.0.1:0", path}
        await tcp.close(0.0)
        await unix.close(0.0)
        assert (tmp_path / "s").is_socket(), "the path belongs to the next one"
        assert network.listening() == {}
        for _ in range(2):
            stream = await SystemNetwork().dial(tcp.address)
            assert await stream.read() == f"127.0.0.1:0 {path}".encode()
            await stream.close()
        await successor.ended()
        assert not network.given_away

    asyncio.run(asyncio.wait_for(body(), 60))


@pytest.mark.parametrize(
    ("source", "within", "said"),
    [("", 60.0, "it has ended"), ("import time; time.sleep(100)", 0.5, "not ready within 0.5 seconds")],
)
def test_a_process_that_does_not_get_ready_is_ended(source, within, said):
    async def body():
        network = SystemNetwork()
        listener = await network.listen("127.0.0.1:0", nobody)
        successor = Successor(started(source), network, within=within)
        with pytest.raises(Unavailable, match=said) as caught:
            await successor.start()
        assert caught.value.code == "PROC-SUCCESSOR"
        assert not network.given_away
        await successor.ended()  # there is none
        with pytest.raises(Unavailable, match="No such file"):
            await Successor(Command(["/no/such/program"], {}), network).start()
        await listener.close(0.0)

    asyncio.run(asyncio.wait_for(body(), 60))


def test_without_the_variable_nothing_is_left():
    left = Inherited.of("")
    assert not left
    assert left.sockets == {}
    left.ready()


def test_nobody_may_wait_any_more():
    reading, writing = os.pipe()
    os.close(reading)
    left = Inherited.of(json.dumps([{"addr": "", "type": "pipe", "fd": writing, "fileName": PIPE}]))
    assert left
    left.ready()
    left.ready()
    assert not left


@pytest.mark.parametrize(
    "text", ["nonsense", "[1]", '[{"addr": "a"}]', '[{"addr": "a", "fileName": "", "fd": 9999}]', "3"]
)
def test_what_no_process_would_write_is_refused(text):
    with pytest.raises(BadParameter) as caught:
        Inherited.of(text)
    assert caught.value.code == "PROC-INHERITED"
    assert VARIABLE in caught.value.what


def test_a_network_takes_what_listens_already():
    async def body():
        with socket.create_server(("127.0.0.1", 0)) as sock:
            port, held = sock.getsockname()[1], {"0.0.0.0:3080": sock.dup()}
        network = SystemNetwork(inherited=held)
        listener = await network.listen("0.0.0.0:3080", nobody)
        assert listener.address == f"127.0.0.1:{port}"
        assert held == {}
        await listener.close(0.0)

    asyncio.run(body())
