"""Bad peers against a real cluster: what they send, how many they are, and that nobody else notices.

A hundredth of the load that is promised, or all of it with TELEPORT_SOAK=1. What single parsers and servers do is
in their own tests; here the whole process must stay fast, small and whole.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import resource
import select
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest

from teleport.base.entropy import SeededEntropy
from teleport.pki import keys
from tests.support.cluster import NAME, OWN, PASSWORD, Cluster, User
from tests.support.processes import wait_for
from tests.support.tls import authority
from tests.unit.wire.test_tls_hello import openssl_hello

SOAK = bool(os.environ.get("TELEPORT_SOAK"))
HALF_OPEN = 10_000 if SOAK else 1_000
_AT_ONCE = 400
IP_BIND_ADDRESS_NO_PORT = 24
"""Option of Linux that the socket module does not name: the port is chosen when connecting."""
PER_PEER = 64 * 1024
"""Bytes of memory that a peer may cost who has proven nothing."""
SOON = 2.0
"""Seconds within which others are served, whatever goes on."""
AUTH_ALPN = f"teleport-auth@{NAME.encode().hex()}"


@contextlib.contextmanager
def descriptor_limit(wanted: int) -> Iterator[int]:
    """Let this process, and what it starts, have so many descriptors; yields what the system grants."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    granted = min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (granted, hard))
    try:
        yield granted
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with contextlib.ExitStack() as stack:
        with descriptor_limit(1024):  # what a shell gives
            made = Cluster(tmp_path_factory.mktemp("bad-peers"), proxy_service="  proxy_protocol: off\n")
            running = stack.enter_context(made.running())
        yield running
        assert "Traceback" not in running.log
        assert "ERRO" not in running.log


@pytest.fixture(scope="module")
def alice(cluster: Cluster) -> User:
    cluster.role("walker", logins=["{{internal.logins}}"])
    return cluster.sign_up("alice", ["walker"], [OWN])


@pytest.fixture(autouse=True)
def _still_served(cluster: Cluster) -> Iterator[None]:
    """After every test the server is the same process, and answers soon."""
    pid = cluster.pid
    yield
    assert cluster.pid == pid
    assert ping(cluster) < SOON


def address(cluster: Cluster) -> tuple[str, int]:
    host, _, port = str(cluster.settings["web"]).rpartition(":")
    return host, int(port)


def dial(cluster: Cluster) -> socket.socket:
    """Open a connection to the one port."""
    sock = socket.create_connection(address(cluster), timeout=20)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def trusting(cluster: Cluster, *alpn: str, certificate: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    """Return a client's context; the server's certificate is not what these tests are about."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if certificate is not None:
        context.load_cert_chain(*certificate)
    return context


def dial_tls(cluster: Cluster, *alpn: str, certificate: tuple[Path, Path] | None = None) -> ssl.SSLSocket:
    sock = dial(cluster)
    try:
        return trusting(cluster, *alpn, certificate=certificate).wrap_socket(sock, server_hostname="localhost")
    except BaseException:
        sock.close()
        raise


def ping(cluster: Cluster) -> float:
    """Ask the web port as a newcomer does; return how many seconds it took."""
    began = time.monotonic()
    connection = http.client.HTTPSConnection(*address(cluster), timeout=20, context=trusting(cluster))
    try:
        connection.request("GET", "/webapi/ping")
        assert connection.getresponse().status == 200
    finally:
        connection.close()
    return time.monotonic() - began


def until_end(sock: socket.socket) -> bytes:
    """Return everything until the server ends the connection, one way or the other."""
    parts = []
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while part := sock.recv(65536):
            parts.append(part)
    return b"".join(parts)


def memory(cluster: Cluster) -> int:
    """Return the resident memory of the server itself, in bytes."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{cluster.pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def descriptors(cluster: Cluster) -> int:
    return len(os.listdir(f"/proc/{cluster.pid}/fd"))


def settled(cluster: Cluster) -> int:
    """Return the number of descriptors when nothing is going on."""
    ping(cluster)
    seen = [descriptors(cluster)]

    def is_quiet() -> bool:
        seen.append(descriptors(cluster))
        return len(seen) > 10 and len(set(seen[-10:])) == 1

    wait_for("quiet", is_quiet)
    return seen[-1]


HELLO = openssl_hello("localhost", ["http/1.1"])
AUTH_HELLO = openssl_hello("localhost", [AUTH_ALPN])


# The first bytes


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(os.urandom(1).replace(b"\x16", b"\x15") + b"\xff" * 4000, id="garbage"),
        pytest.param(b"\0" * 5000, id="zeros"),
        pytest.param(b"\x16\x03\x01\xff\xff" + b"x" * 70_000, id="record_larger_than_any"),
        pytest.param(b"\x16\x03\x01\x40\x00\x01\x00\xff\xff\x03\x03" + b"x" * 20_000, id="hello_larger_than_any"),
        pytest.param(b"\x16\x03\x01\x00\x05\x02aaaa", id="another_handshake_message"),
        pytest.param(b"\x15\x03\x01\x00\x02\x02\x28", id="an_alert"),
        pytest.param(b"\x80\x2e\x01\x00\x02" + b"x" * 43, id="sslv2"),
        pytest.param(b"\x16\x03\x01\x00\x01\x01" * 40, id="a_hello_in_crumbs"),
        pytest.param(HELLO[:76] + b"\xff\xff" + HELLO[78:], id="a_length_that_lies"),
        pytest.param(b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + HELLO, id="forged_proxy_header_1"),
        pytest.param(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + b"\1" * 12 + HELLO, id="forged_proxy_header_2"),
        pytest.param(
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x13" + b"\1" * 12 + b"\xe4\0\4\1\0\1x" + HELLO, id="forged_signature"
        ),
        pytest.param(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff", id="proxy_header_2_that_is_too_long"),
        pytest.param(b"RFB 003.008\n", id="another_protocol"),
    ],
)
def test_what_is_no_tls_is_dropped_at_once(cluster: Cluster, data: bytes) -> None:
    with dial(cluster) as sock:
        sock.settimeout(SOON)
        with contextlib.suppress(ConnectionError):
            sock.sendall(data)
        assert until_end(sock) == b""


def test_a_hello_that_ends_in_the_middle_leaves_nothing(cluster: Cluster) -> None:
    before = settled(cluster)
    for cut in range(1, len(HELLO), 37):
        with dial(cluster) as sock:
            sock.sendall(HELLO[:cut])
    wait_for("the end of their connections", lambda: descriptors(cluster) <= before)


def test_http_without_tls_is_told_what_to_type(cluster: Cluster) -> None:
    with dial(cluster) as sock:
        sock.settimeout(SOON)
        sock.sendall(b"GET /webapi/ping HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = until_end(sock).decode()
    head, _, body = answer.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 400 Bad Request\r\n")
    assert "Connection: close" in head
    assert "https://" in body


# The API through the one port


class Api:
    """A client of HTTP/2 that does what it should not."""

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self.sock = sock
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.h2.initiate_connection()

    def call(self, method: str, *, end: bool = False) -> int:
        number = self.h2.get_next_available_stream_id()
        fields = [(":method", "POST"), (":scheme", "https"), (":path", f"/teleport.v1.{method}"),
                  (":authority", "x"), ("te", "trailers"), ("content-type", "application/grpc")]  # fmt: skip
        self.h2.send_headers(number, fields, end_stream=end)
        return number

    def flush(self) -> None:
        self.sock.sendall(self.h2.data_to_send())

    def status(self) -> dict[str, str]:
        """Return the trailers of the first call that ends."""
        while data := self.sock.recv(65536):
            for event in self.h2.receive_data(data):
                if isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
                    found = {str(name): str(value) for name, value in event.headers or ()}
                    if "grpc-status" in found:
                        return found
            self.flush()
        raise AssertionError("the connection ended without a status")

    def goodbye(self) -> int:
        """Return the error code with which the server ends the connection."""
        code = -1
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while data := self.sock.recv(65536):
                for event in self.h2.receive_data(data):
                    if isinstance(event, h2.events.ConnectionTerminated):
                        code = int(event.error_code or 0)
        return code


def test_whoever_has_no_certificate_reaches_ping_alone(cluster: Cluster) -> None:
    for method, status in (("Status/Ping", "0"), ("Resources/Get", "16"), ("Users/CreateInvite", "16")):
        with dial_tls(cluster, AUTH_ALPN) as sock:
            api = Api(sock)
            api.h2.send_data(api.call(method), struct.pack(">BI", 0, 0), end_stream=True)
            api.flush()
            assert api.status()["grpc-status"] == status


def test_a_foreign_certificate_is_refused_in_the_handshake(cluster: Cluster, tmp_path: Path) -> None:
    pair = tmp_path / "pair.pem"
    pair.write_bytes(authority("somebody else").issue("alice"))
    sock = dial_tls(cluster, AUTH_ALPN, certificate=(pair, pair))  # in TLS 1.3 the client is told afterwards
    with sock, pytest.raises(ssl.SSLError, match=r"(?i)bad.certificate|unknown.ca"):
        sock.recv(1)


def test_a_certificate_without_its_key_gets_nowhere(cluster: Cluster, alice: User, tmp_path: Path) -> None:
    """A certificate is public. OpenSSL itself refuses to pair it with another key, so the proof cannot be made."""
    (certificate,) = (cluster.folder / "home-alice" / "keys").rglob("alice.crt")
    other = tmp_path / "other.key"
    other.write_bytes(keys.private_pem(keys.make_p256(SeededEntropy(1))))
    with pytest.raises(ssl.SSLError, match=r"(?i)key.values.mismatch"):
        trusting(cluster, AUTH_ALPN, certificate=(certificate, other))


def own_certificate(cluster: Cluster, user: User) -> tuple[Path, Path]:
    (certificate,) = (cluster.folder / f"home-{user.name}" / "keys").rglob(f"{user.name}.crt")
    return certificate, certificate.with_suffix(".key")


@pytest.mark.parametrize("known", [True, False], ids=["user", "nobody"])
def test_a_message_of_200_mb_is_refused_before_its_body(cluster: Cluster, alice: User, known: bool) -> None:
    """The answer comes when five bytes of the message have been sent."""
    before = memory(cluster)
    certificate = own_certificate(cluster, alice) if known else None
    with dial_tls(cluster, AUTH_ALPN, certificate=certificate) as sock:
        sock.settimeout(SOON + 3)
        api = Api(sock)
        number = api.call("Resources/Create" if known else "Status/Ping")
        api.h2.send_data(number, struct.pack(">BI", 0, 200_000_000))
        api.flush()
        said = api.status()
    assert (said["grpc-status"], "200000000 bytes" in said["grpc-message"]) == ("8", True)
    assert memory(cluster) - before < 8 << 20


def test_cve_2023_44487_streams_that_are_reset_at_once_cost_the_connection(cluster: Cluster) -> None:
    with dial_tls(cluster, AUTH_ALPN) as sock:
        api = Api(sock)
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            for _ in range(5_000):
                api.h2.reset_stream(api.call("Status/Ping"))
                api.flush()
        assert api.goodbye() in (-1, 11)  # ENHANCE_YOUR_CALM, if its last words arrive


def test_cve_2024_27316_headers_that_never_end_cost_the_connection(cluster: Cluster) -> None:
    before = memory(cluster)
    with dial_tls(cluster, AUTH_ALPN) as sock:
        api = Api(sock)
        api.flush()
        frame = b"\0\x10\0\x09\0\0\0\0\x01" + b"\0\x01a" * 1365 + b"\0"
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            sock.sendall(b"\0\0\x01\x01\0\0\0\0\x01\x83")
            for _ in range(4_000):
                sock.sendall(frame)
        until_end(sock)
    assert memory(cluster) - before < 8 << 20


# The web port


def exchange(cluster: Cluster, *parts: bytes, pause: float = 0.0) -> bytes:
    """Send bytes over TLS and return what comes until the end."""
    with dial_tls(cluster, "http/1.1") as sock:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            for part in parts:
                sock.sendall(part)
                time.sleep(pause)
        sock.settimeout(SOON + 5)
        return until_end(sock)


GET = b"GET /webapi/ping HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    "flood",
    [
        pytest.param(b"X: " + b"a" * 2_000_000, id="one_long_header"),
        pytest.param(b"".join(b"X-%d: a\r\n" % number for number in range(50_000)), id="many_headers"),
        pytest.param(b"X" * 2_000_000 + b": a", id="one_long_name"),
        pytest.param(b"Cookie: " + b"a=b; " * 200_000, id="many_cookies"),
    ],
)
def test_a_flood_of_headers_is_refused(cluster: Cluster, flood: bytes) -> None:
    before = memory(cluster)
    answer = exchange(cluster, GET + flood)
    assert answer == b"" or re.match(rb"HTTP/1\.[01] 4(00|31) ", answer)
    assert memory(cluster) - before < 16 << 20


HIDDEN = b"GET /webapi/find HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /webapi/ssh/certs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="length_and_chunks"),
        pytest.param(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", id="chunks_and_length"),
        pytest.param(b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n", id="two_lengths"),
        pytest.param(b"Content-Length: 0, 44\r\n\r\n", id="a_list_of_lengths"),
        pytest.param(b"Content-Length: +0\r\n\r\n", id="a_length_with_a_sign"),
        pytest.param(b"Content-Length: 0x0\r\n\r\n", id="a_length_of_base_16"),
        pytest.param(b"Content-Length : 0\r\n\r\n", id="blank_before_the_colon"),
        pytest.param(b"Transfer-Encoding: xchunked\r\n\r\n", id="an_unknown_encoding"),
        pytest.param(b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", id="chunks_not_last"),
        pytest.param(b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n", id="a_tab_of_another_kind"),
        pytest.param(b"X: a\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="a_folded_header"),
        pytest.param(b"X: a\nContent-Length: 44\r\n\r\n", id="a_bare_line_feed"),
        pytest.param(b"X: a\rContent-Length: 44\r\n\r\n", id="a_bare_carriage_return"),
        pytest.param(b"X: a\0b\r\n\r\n", id="a_nul"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n", id="a_chunk_of_base_16_twice"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n5 ;a\n0\r\n\r\n", id="a_chunk_ended_by_a_line_feed"),
    ],
)
def test_a_request_that_could_be_read_in_two_ways_ends_the_connection(cluster: Cluster, head: bytes) -> None:
    """Whatever another server in front would have made of it: the request behind it is never answered."""
    answer = exchange(cluster, POST + head + HIDDEN)
    statuses = re.findall(rb"HTTP/1\.[01] (\d)", answer)
    assert statuses in ([], [b"4"])


@pytest.mark.parametrize(
    "path",
    ["/static/../../../etc/passwd", "/static/%2e%2e/%2e%2e/etc/passwd", "/static/..%2f..%2fetc/passwd",
     "//evil.example/", "/\\evil.example", "/web/invite/%0d%0aSet-Cookie:x=y", "/%00", "/%ff%fe",
     "/web/invite/" + "a" * 7000, "http://evil.example/", "/webapi/ping/../../x", "/.git/config"],
)  # fmt: skip
def test_no_path_leads_elsewhere(cluster: Cluster, path: str) -> None:
    answer = exchange(cluster, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    status, head = answer[9:12], answer.partition(b"\r\n\r\n")[0].lower()
    assert status.startswith(b"4") or path in ("http://evil.example/", "//evil.example/")
    assert b"root:" not in answer
    assert b"\r\nset-cookie: x" not in head
    assert b"evil.example" not in head


# Many


ELSEWHERE = "127.0.0.66"
"""Where the crowd comes from: one address, and not that of people."""


def crowd(cluster: Cluster, count: int, begin: bytes, peers: contextlib.ExitStack) -> None:
    """Open connections as fast as the server takes them, and send the same beginning on each."""
    for start in range(0, count, _AT_ONCE):
        batch = [peers.enter_context(socket.socket()) for _ in range(min(_AT_ONCE, count - start))]
        for sock in batch:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((ELSEWHERE, 0))
            sock.connect_ex(address(cluster))
        for sock in batch:
            sock.settimeout(20)
            waiting = select.poll()
            waiting.register(sock, select.POLLOUT)
            assert waiting.poll(20_000), "the server takes no connection"
            with contextlib.suppress(ConnectionError):
                sock.send(begin)


@pytest.mark.parametrize(
    ("begin", "most"),
    [
        pytest.param(b"", HALF_OPEN, id="silence"),
        pytest.param(HELLO[:200], HALF_OPEN, id="half_a_hello"),
        # the server has answered and waits for our keys; each has cost it a signature
        pytest.param(HELLO, min(HALF_OPEN, 3_000), id="half_a_handshake"),
        # to the door of the Auth Service they are one source, and those who sign in others
        pytest.param(AUTH_HELLO, 100, id="half_a_handshake_with_the_auth_service"),
    ],
)  # fmt: skip
def test_half_open_peers_cost_little_and_disturb_nobody(
    cluster: Cluster,
    alice: User,
    begin: bytes,
    most: int,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    alone, before, used = usual(alice), settled(cluster), memory(cluster)
    with descriptor_limit(most + 500) as granted, contextlib.ExitStack() as peers:
        crowd(cluster, min(most, granted - 400), begin, peers)
        slowest = ping(cluster)  # whoever is answered came after all the others
        count = max(descriptors(cluster) - before, 1)  # the first of them may have had their ten seconds already
        each = (memory(cluster) - used) / count
        slowest = max(slowest, *(ping(cluster) for _ in range(4)))
        listed = usual(alice)
    tell(
        capsys,
        f"{count} at once, {request.node.callspec.id}: {each / 1024:.1f} KB each, ping at most "
        f"{slowest * 1000:.0f} ms, tsh ls {listed:.2f} s (alone {alone:.2f} s)",
    )
    assert slowest < SOON
    assert listed < max(SOON, 3 * alone)
    assert each < PER_PEER
    wait_for("the end of their connections", lambda: descriptors(cluster) <= before, seconds=30)


def tell(capsys: pytest.CaptureFixture[str], figures: str) -> None:
    """Print a measurement, also where tests succeed."""
    with capsys.disabled():
        print(f"\nbad peers: {figures}")  # noqa: T201


def usual(user: User) -> float:
    """Return how many seconds `tsh ls` takes."""
    began = time.monotonic()
    user.tsh("ls")
    return time.monotonic() - began


def test_readers_that_do_not_read_are_not_written_for(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    """Each asks for megabytes of answers and takes none: the server stops reading and answering, not others."""
    before, used, count = settled(cluster), memory(cluster), 200 if SOAK else 20
    requests = (GET + b"\r\n") * 4_000
    with contextlib.ExitStack() as peers:
        for _ in range(count):
            sock = peers.enter_context(dial_tls(cluster, "http/1.1"))
            sock.setblocking(False)
            with contextlib.suppress(ssl.SSLWantWriteError, BlockingIOError, ConnectionError):
                while sock.send(requests):
                    pass
        wait_for("quiet", lambda: ping(cluster) < SOON)
        each = (memory(cluster) - used) / count
        tell(capsys, f"{count} readers that do not read: {each / 1024:.0f} KB each")
        assert each < 1 << 20
    wait_for("the end of their connections", lambda: descriptors(cluster) <= before, seconds=30)


# Guessing


def test_guesses_are_answered_alike_until_the_lock_out_and_after_it(cluster: Cluster, alice: User) -> None:
    """Whether a name exists, whether it is locked out, whether the guess was right: nothing shows but the count."""
    assert cluster.browser().set_password(cluster.invite("bob", ["walker"], [OWN]), PASSWORD).status == 200
    code = User(cluster, "bob").code()
    entropy = SeededEntropy(3)
    body = {
        "ssh_pub_key": keys.ssh_line(keys.ssh_blob(keys.make_ed25519(entropy).public_key())),
        "tls_pub_key": keys.public_pem(keys.make_p256(entropy).public_key()), "ttl": "1h",
    }  # fmt: skip

    def guess(user: str, password: str, code: str = "000000") -> tuple[int, dict[str, object]]:
        connection = http.client.HTTPSConnection(*address(cluster), timeout=20, context=trusting(cluster))
        try:
            sent = json.dumps({**body, "user": user, "password": password, "totp_code": code})
            connection.request("POST", "/webapi/mfa/login/finish", sent, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            said = json.loads(answer.read())["error"]
            said.pop("id")
            return answer.status, said
        finally:
            connection.close()

    tries = [*((f"wrong guess {number}", "000000") for number in range(6)), (PASSWORD, code)]
    known, unknown = ([guess(name, *words) for words in tries] for name in ("bob", "mallory"))
    assert known == unknown
    assert known[-1] == known[-2], "what is right after the lock-out is told like what is wrong"
    assert known[0] != known[-1]
    for other in ("BOB", "bob ", "b\u043eb"):
        status, _ = guess(other, PASSWORD, code)
        assert status in (400, 401, 403, 429), "another spelling is another person (CVE-2025-6004)"
    assert alice.tsh("ls").status == 0
