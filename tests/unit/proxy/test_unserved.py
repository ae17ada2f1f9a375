"""Databases that are not served: what their own clients, and clients that break off, are told."""

import asyncio
import struct
import subprocess

import pytest

from teleport.base.errors import BadParameter, TeleportError, Unavailable
from teleport.net.memory import memory_pair
from teleport.net.network import SystemNetwork
from teleport.net.peek import peekable
from teleport.proxy import unserved
from tests.support import tls
from tests.support.programs import need


def served(handle, work):
    """Run `work(port)` in a thread against a listener; return its result and how `handle` ended."""
    ends = []

    async def main():
        async def one(stream):
            try:
                await handle(peekable(stream))
            except TeleportError as error:
                ends.append(error)

        listener = await SystemNetwork().listen("127.0.0.1:0", one)
        try:
            port = int(listener.address.rpartition(":")[2])
            return await asyncio.to_thread(work, port)
        finally:
            await listener.close(5.0)

    return asyncio.run(main()), ends


def postgres():
    return unserved.postgres(lambda name: tls.authority().server())


@pytest.mark.parametrize("mode", ["prefer", "require"])
def test_psql_is_told(mode):
    program = need("psql")

    def ask(port):
        target = f"host=127.0.0.1 port={port} user=alice dbname=app sslmode={mode} gssencmode=disable"
        return subprocess.run([program, "-w", target, "-c", "select 1"], capture_output=True, text=True, timeout=60)

    done, ends = served(postgres(), ask)
    assert done.returncode == 2
    assert "FATAL:  this proxy serves no databases (PROXY-NO-DATABASE)" in done.stderr
    assert "HINT:  connect to the database itself" in done.stderr
    assert ends[0].code == "PROXY-NO-DATABASE"  # where it only prefers TLS, it tries once more without


def test_a_client_of_mysql_is_told():
    program = need("mariadb")

    def ask(port):
        argv = [program, "--no-defaults", "--host=127.0.0.1", f"--port={port}", "--user=alice", "--connect-timeout=30"]
        return subprocess.run([*argv, "-e", "select 1"], capture_output=True, text=True, timeout=60)

    done, ends = served(unserved.mysql, ask)
    assert done.returncode == 1
    assert "1105 - this proxy serves no databases (PROXY-NO-DATABASE)" in done.stderr
    assert [end.code for end in ends] == ["PROXY-NO-DATABASE"]


async def told(startup):
    """Send a startup message within TLS, in memory; return the answer."""
    from teleport.net import tls as net_tls

    near, far = memory_pair()

    async def client():
        await near.write(unserved.POSTGRES_TLS)
        assert await near.read(1) == b"S"
        context = tls.authority().client()
        context.check_hostname = False
        stream = await net_tls.client_handshake(near, context, server_name="x")
        await stream.write(startup)
        await stream.write_eof()
        answer = b""
        while data := await stream.read():
            answer += data
        return answer

    async with asyncio.TaskGroup() as group:
        asked = group.create_task(client())
        with pytest.raises(TeleportError) as caught:
            await postgres()(peekable(far))
    return asked.result(), caught.value


def test_what_is_sent_is_an_error_response():
    startup = struct.pack("!II", 8, 196608)
    answer, error = asyncio.run(told(startup))
    assert isinstance(error, Unavailable)
    kind, size = struct.unpack("!cI", answer[:5])
    assert (kind, size) == (b"E", len(answer) - 1)
    fields = {field[:1]: field[1:] for field in answer[5:-2].split(b"\0")}
    assert (fields[b"S"], fields[b"C"]) == (b"FATAL", b"0A000")


@pytest.mark.parametrize("startup", [b"\0\0\0\7abc", b"\xff\xff\xff\xff", b"\0\0", b"\0\0\0\x10\0\0\0", b""])
def test_what_is_no_startup_message_gets_no_answer(startup):
    answer, error = asyncio.run(told(startup))
    assert answer == b""
    assert isinstance(error, BadParameter)
    assert error.code == "NET-PROTOCOL"
