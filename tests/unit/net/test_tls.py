"""TLS handshakes on every carrier: what they prove, and each way to fail with its code."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

import pytest

from teleport.base.errors import NotAuthenticated, TeleportError, TimedOut, Unavailable
from teleport.net.memory import memory_pair
from teleport.net.socket_stream import SocketStream
from teleport.net.stream import Stream
from teleport.net.tls import client_handshake, server_handshake
from teleport.net.tls_socket import TlsSocketStream
from tests.support.check_stream import pattern, read_all, read_exactly
from tests.support.pairs import Pair, in_memory, tcp_pair, tls_over
from tests.support.tls import NAME, Authority, authority

CARRIERS = {"tcp": tcp_pair, "memory": in_memory}
every_carrier = pytest.mark.parametrize("under", CARRIERS.values(), ids=CARRIERS)


def outcomes(
    under: Callable[[], Pair],
    server: ssl.SSLContext,
    client: ssl.SSLContext,
    *,
    server_name: str = NAME,
    **options: Any,
) -> tuple[str, str]:
    """Shake hands, then let the client write and read: the codes with which the server and the client fail."""

    async def serve(stream: Stream) -> str:
        try:
            tls = await server_handshake(stream, server, **options)
            await tls.write(b"welcome")
            await tls.close()
        except TeleportError as error:
            return error.code
        return ""

    async def connect(stream: Stream) -> str:
        try:
            tls = await client_handshake(stream, client, server_name=server_name, **options)
            try:
                await tls.write(b"hello")
                await read_exactly(tls, 7)
            finally:
                await tls.close()
        except TeleportError as error:
            return error.code if error.why and error.fix else "no advice"
        return ""

    async def main() -> tuple[str, str]:
        async with asyncio.timeout(20), under() as (a, b):
            server_code, client_code = await asyncio.gather(serve(a), connect(b))
            return server_code, client_code

    return asyncio.run(main())


@every_carrier
def test_mutual_tls_proves_certificates_names_and_protocol(under: Callable[[], Pair]) -> None:
    pem = authority().issue("alice")

    async def main() -> None:
        async with under() as (a, b):
            server, client = await tls_over(
                a,
                b,
                authority().server(alpn=["h2"], clients=True),
                authority().client(alpn=["x", "h2"], pem=pem),
            )
            assert server.peer.certificate == ssl.PEM_cert_to_DER_cert(pem.decode().split("-----BEGIN PRIVATE")[0])
            assert (server.peer.alpn, server.peer.server_name) == ("h2", NAME)
            assert server.peer.address == a.peer.address
            assert (client.peer.alpn, client.peer.server_name) == ("h2", NAME)
            assert client.peer.certificate
            for stream in (server, client):
                await stream.close()

    asyncio.run(main())


def test_unverified_certificate_is_not_reported() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE

    async def main() -> None:
        async with tcp_pair() as (a, b):
            server, client = await tls_over(a, b, None, context)
            assert client.peer.certificate == b""
            assert client.ssl_object.getpeercert(binary_form=True)
            await server.close()
            await client.close()

    asyncio.run(main())


STRANGER = Authority("stranger")


@every_carrier
@pytest.mark.parametrize(
    ("issue", "expected"),
    [
        (lambda: authority().issue("u", start=-2, end=-1), ("NET-TLS-EXPIRED", "NET-TLS-REFUSED-EXPIRED")),
        (lambda: authority().issue("u", start=1, end=2), ("NET-TLS-NOT-YET-VALID", "NET-TLS-REFUSED-BAD-CERTIFICATE")),
        (lambda: STRANGER.issue("u"), ("NET-TLS-UNKNOWN-CA", "NET-TLS-REFUSED-UNKNOWN-CA")),
        (lambda: None, ("NET-TLS-NO-CERTIFICATE", "NET-TLS-REFUSED-NO-CERTIFICATE")),
    ],
    ids=["expired", "not yet valid", "foreign", "none"],
)
def test_refused_client_certificate_has_the_matching_code_on_both_sides(
    under: Callable[[], Pair], issue: Callable[[], bytes | None], expected: tuple[str, str]
) -> None:
    client = authority().client(pem=issue())
    assert outcomes(under, authority().server(clients=True), client) == expected


@every_carrier
def test_refused_server_certificate(under: Callable[[], Pair]) -> None:
    expired = authority().server(pem=authority().issue(start=-2, end=-1))
    assert outcomes(under, expired, authority().client()) == ("NET-TLS-REFUSED-EXPIRED", "NET-TLS-EXPIRED")
    assert outcomes(under, STRANGER.server(), authority().client()) == (
        "NET-TLS-REFUSED-UNKNOWN-CA",
        "NET-TLS-UNKNOWN-CA",
    )
    code = outcomes(under, authority().server(), authority().client(), server_name="other.example")
    assert code == ("NET-TLS-REFUSED-BAD-CERTIFICATE", "NET-TLS-NAME")


@every_carrier
def test_no_common_version(under: Callable[[], Pair]) -> None:
    server, client = authority().server(), authority().client()
    server.minimum_version = ssl.TLSVersion.TLSv1_3
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    assert outcomes(under, server, client) == ("NET-TLS-VERSION", "NET-TLS-VERSION")


@every_carrier
def test_no_shared_protocol_is_refused_where_one_is_required(under: Callable[[], Pair]) -> None:
    server, client = authority().server(alpn=["h2"]), authority().client(alpn=["x"])
    server_code, client_code = outcomes(under, server, client, require_alpn=True)
    assert client_code == "NET-TLS-PROTOCOL"
    assert server_code in ("NET-TLS-PROTOCOL", "NET-RESET")  # whoever looks first closes
    assert outcomes(under, server, client) == ("", "")


@every_carrier
@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n", bytes(64)])
def test_garbage_is_not_tls(under: Callable[[], Pair], data: bytes) -> None:
    async def main() -> None:
        async with asyncio.timeout(20), under() as (a, b):
            await b.write(data)
            await b.write_eof()
            with pytest.raises(Unavailable) as refused:
                await server_handshake(a, authority().server())
            assert refused.value.code == "NET-TLS-NOT-TLS"

    asyncio.run(main())


@every_carrier
def test_end_during_the_handshake(under: Callable[[], Pair]) -> None:
    async def main() -> None:
        async with asyncio.timeout(20), under() as (a, b):
            await a.close()
            with pytest.raises(Unavailable) as ended:
                await client_handshake(b, authority().client(), server_name=NAME)
            assert ended.value.code in ("NET-TLS-EOF", "NET-RESET")

    asyncio.run(main())


@every_carrier
def test_silent_peer_meets_the_deadline(under: Callable[[], Pair]) -> None:
    async def main() -> None:
        async with asyncio.timeout(20), under() as (a, _):
            with pytest.raises(TimedOut) as late:
                await server_handshake(a, authority().server(), 0.05)
            assert late.value.code == "NET-TLS-TIMEOUT"
            with pytest.raises(Unavailable):
                await a.read()

    asyncio.run(main())


@every_carrier
def test_cancelled_handshake_closes(under: Callable[[], Pair]) -> None:
    async def main() -> None:
        async with asyncio.timeout(20), under() as (a, b):
            task = asyncio.get_running_loop().create_task(server_handshake(a, authority().server()))
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await b.read() == b""

    asyncio.run(main())


def test_cut_carrier_is_not_a_clean_end() -> None:
    """Truncation: bytes that a man in the middle holds back must not look like the end."""

    async def main() -> None:
        for under in (tcp_pair, in_memory):
            async with asyncio.timeout(20), under() as (a, b):
                server, client = await tls_over(a, b)
                await server.write(b"part")
                await raw_close(server, a)
                assert await read_exactly(client, 4) == b"part"
                with pytest.raises(Unavailable) as cut:
                    await client.read()
                assert cut.value.code == "NET-TLS-TRUNCATED"
                await client.close()
                await server.close()

    asyncio.run(main())


async def raw_close(tls: Any, carrier: Stream) -> None:
    """End the carrier behind the back of TLS."""
    if isinstance(carrier, SocketStream):
        plain = socket.socket(fileno=os.dup(tls.sock.fileno()))
        plain.shutdown(socket.SHUT_WR)
        plain.close()
    else:
        await carrier.write_eof()


def test_half_close_leaves_no_descriptor_behind() -> None:
    async def main() -> None:
        async with asyncio.timeout(20), tcp_pair() as (a, b):
            server, client = await tls_over(a, b)
            before = len(os.listdir("/proc/self/fd"))
            await client.write_eof()
            await client.write_eof()
            assert await server.read() == b""
            assert len(os.listdir("/proc/self/fd")) == before
            with pytest.raises(Unavailable):
                await client.write(b"x")
            await server.write(pattern(100000))
            await server.write_eof()
            assert await read_all(client) == pattern(100000)
            await server.close()
            await client.close()

    asyncio.run(main())


def test_data_that_arrives_in_the_middle_of_a_half_close_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with asyncio.timeout(20), tcp_pair() as (a, b):
            server, client = await tls_over(a, b)
            assert isinstance(client, TlsSocketStream)
            drain = client._drain

            def drain_and_receive() -> None:
                drain()
                server.ssl_object.write(b"late")

            monkeypatch.setattr(client, "_drain", drain_and_receive)
            await client.write_eof()
            assert await read_exactly(client, 4) == b"late"
            assert await server.read() == b""
            await server.close()
            await client.close()

    asyncio.run(main())


def test_server_name_given_by_the_router_wins() -> None:
    async def main() -> None:
        a, b = memory_pair()
        server, client = await asyncio.gather(
            server_handshake(a, authority().server(), server_name="Seen.Example"),
            client_handshake(b, authority().client(), server_name=NAME),
        )
        assert server.peer.server_name == "seen.example"
        await client.close()
        await server.close()

    asyncio.run(main())


def test_refusal_inside_a_session_names_the_reason_even_after_a_reset() -> None:
    """With TLS 1.3 the client may be writing already when the server's alert arrives."""

    async def main() -> None:
        async with asyncio.timeout(20), tcp_pair() as (a, b):
            server = asyncio.get_running_loop().create_task(server_handshake(a, authority().server(clients=True)))
            client = await client_handshake(b, authority().client(pem=STRANGER.issue("u")), server_name=NAME)
            with pytest.raises(NotAuthenticated) as refused:
                await client.write(bytes(1 << 26))
            assert refused.value.code == "NET-TLS-REFUSED-UNKNOWN-CA"
            with pytest.raises(NotAuthenticated):
                await server
            await client.close()

    asyncio.run(main())


def test_threads_do_not_read_into_each_others_room() -> None:
    """What one connection received was once seen by another one, of a second event loop."""
    rounds, size, found = 40, 200_000, dict[int, int]()

    async def talk(letter: bytes) -> int:
        async with tcp_pair() as (a, b):
            server, client = await tls_over(a, b, authority().server(), authority().client())
            wrong = 0
            for _ in range(rounds):
                _, came = await asyncio.gather(client.write(letter * size), read_exactly(server, size))
                wrong += came != letter * size
            await asyncio.gather(client.close(), server.close())
            return wrong

    def run(number: int) -> None:
        found[number] = asyncio.run(talk(bytes([number])))

    threads = [threading.Thread(target=run, args=(number,)) for number in (65, 66, 67)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == {65: 0, 66: 0, 67: 0}


@every_carrier
def test_a_refusal_that_nobody_has_read_is_not_told_to_another_connection(under: Callable[[], Pair]) -> None:
    """OpenSSL left it in the thread when the refused connection was closed: the next one to read seemed refused."""

    async def main() -> None:
        async with asyncio.timeout(20), under() as (a, b), tcp_pair() as (c, d):
            server, other = await tls_over(c, d, authority().server(), authority().client())
            await server.write(b"first")
            assert await read_exactly(other, 5) == b"first"
            refusing = asyncio.get_running_loop().create_task(server_handshake(a, authority().server(clients=True)))
            client = await client_handshake(b, authority().client(), server_name=NAME)
            await client.write(b"hello")
            await asyncio.sleep(0.1)
            await client.close()
            with pytest.raises(NotAuthenticated):
                await refusing
            reading = asyncio.get_running_loop().create_task(read_exactly(other, 5))
            await asyncio.sleep(0.01)
            await server.write(b"hello")
            assert await reading == b"hello"
            await asyncio.gather(server.close(), other.close())

    asyncio.run(main())
