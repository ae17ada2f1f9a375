"""The proxy's JSON endpoints over real TLS on loopback: what answers, what does not, and what is said of it."""

import contextlib
import json
import socket
import ssl
import threading

import pytest

from teleport.base.errors import AccessDenied, BadParameter, Internal, NotAuthenticated, TeleportError, Unavailable
from teleport.client import web_api
from teleport.client.web_api import WebApi, find_proxy
from teleport.model.address import Address
from tests.support import tls

PING = {"cluster_name": "example.com"}


def answer(document, status="200 OK"):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


class Server:
    """Answers every connection with the same bytes and remembers the requests."""

    def __init__(self, reply, context):
        self._reply = reply
        self._context = context
        self.requests = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = Address("localhost", self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        with contextlib.suppress(OSError):  # the listening socket is shut down
            while True:
                connection, _ = self._socket.accept()
                with connection, contextlib.suppress(OSError):  # a client that does not trust us
                    self._answer(connection)

    def _answer(self, connection):
        connection.settimeout(10)
        if self._context is not None:
            connection = self._context.wrap_socket(connection, server_side=True)
        with connection:
            self.requests.append(self._read(connection))
            connection.sendall(self._reply)

    def _read(self, connection):
        """Read all of a request: who closes before that resets the connection."""
        data = connection.recv(65536)
        while (data[:1] != b"\x16" and b"\r\n\r\n" not in data) or (b"POST" in data and not data.endswith(b"}")):
            data += connection.recv(65536)
        return data

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._socket.close()
        assert not self._thread.is_alive()


@pytest.fixture
def serve(monkeypatch, tmp_path):
    """A function that starts a server whose certificate for `name` is trusted."""
    (tmp_path / "ca.pem").write_text(tls.authority().pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with contextlib.ExitStack() as stack:

        def start(reply, *, name="localhost", secure=True, authority=None):
            pem = (authority or tls.authority()).issue(name)
            server = Server(reply, tls.authority().server(pem=pem) if secure else None)
            stack.callback(server.close)
            return server

        yield start


def failure(call, *arguments, **options):
    with pytest.raises(TeleportError) as caught:
        call(*arguments, **options)
    return caught.value


def test_get_and_post(serve):
    server = serve(answer(PING))
    api = WebApi(server.address)
    assert api.get("/webapi/ping") == PING
    assert api.post("/webapi/x", {"a": "é"}) == PING
    assert server.requests[0].startswith(b"GET /webapi/ping HTTP/1.1\r\nHost: localhost:")
    assert b"Content-Type: application/json\r\n" in server.requests[1]


def test_certificate_for_another_name_is_named(serve):
    error = failure(WebApi(serve(answer(PING), name="other.example").address).get, "/")
    assert (type(error), error.code) == (Unavailable, "CLIENT-WEB-CERT")
    assert "Hostname mismatch" in error.what


def test_certificate_of_a_stranger_is_refused_unless_asked_for(serve):
    server = serve(answer(PING), authority=tls.Authority("stranger"))
    assert failure(WebApi(server.address).get, "/").code == "CLIENT-WEB-CERT"
    assert WebApi(server.address, insecure=True).get("/") == PING


def test_port_without_tls_is_named(serve):
    error = failure(WebApi(serve(b"HTTP/1.0 400 Bad Request\r\n\r\n", secure=False).address).get, "/")
    assert (type(error), error.code) == (Unavailable, "CLIENT-NOT-TLS")


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = Address("127.0.0.1", taken.getsockname()[1])
    error = failure(WebApi(address).get, "/")
    assert error.code == "CLIENT-UNREACHABLE"
    assert "refused" in error.what.lower()
    assert f"https://{address}/webapi/ping" in error.fix


def test_name_that_cannot_resolve():
    assert failure(WebApi(Address("x" * 64 + ".example", 1)).get, "/").code == "CLIENT-UNREACHABLE"


def test_silent_server_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = failure(WebApi(Address("127.0.0.1", silent.getsockname()[1]), timeout=0.05).get, "/")
    assert error.code == "CLIENT-UNREACHABLE"
    assert "timed out" in error.what


@pytest.mark.parametrize(
    "reply",
    [
        answer(b"<html>hello</html>"),
        answer([1, 2]),
        answer(b"[" * 100_000),
        answer(b"\xff\xfe"),
        answer(b""),
        answer(PING, "204 No Content"),
        answer(PING, "302 Found"),
        answer({"error": "text"}, "404 Not Found"),
        answer({}, "500 Oops"),
        answer(b'{"a":"' + b"x" * web_api.MAX_ANSWER + b'"}'),
    ],
)
def test_who_answers_otherwise_is_not_a_proxy(serve, reply):
    error = failure(WebApi(serve(reply).address).get, "/webapi/ping")
    assert (type(error), error.code) == (Unavailable, "CLIENT-NOT-A-PROXY")


def test_connection_that_is_cut(serve):
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"
    assert failure(WebApi(serve(cut).address).get, "/").code == "CLIENT-NOT-A-PROXY"
    assert failure(WebApi(serve(b"nonsense\r\n\r\n").address).get, "/").code == "CLIENT-UNREACHABLE"


def test_error_of_the_proxy_comes_back_as_it_was(serve):
    sent = {"code": "AUTH-LOGIN", "message": "x", "fields": {}, "id": "the-id"}
    error = failure(WebApi(serve(answer({"error": sent}, "401 Unauthorized")).address).post, "/", {})
    assert (type(error), error.code, error.id) == (NotAuthenticated, "AUTH-LOGIN", "the-id")
    assert error.fix


def test_error_of_a_newer_proxy_keeps_its_words(serve):
    sent = {"code": "NEW-CODE", "message": "something new", "id": "i"}
    error = failure(WebApi(serve(answer({"error": sent}, "403 Forbidden")).address).get, "/")
    assert (type(error), error.code, error.id) == (AccessDenied, "API-REMOTE", "i")
    assert "something new" in error.what


@pytest.mark.parametrize(
    "sent", [{}, {"code": None}, {"code": "AUTH-LOGIN", "fields": [1]}, {"code": "POL-LOCKED", "fields": {"x": {}}}]
)
def test_damaged_error_is_still_an_error(serve, sent):
    error = failure(WebApi(serve(answer({"error": sent}, "418 Teapot")).address).get, "/")
    assert isinstance(error, Internal)


def test_proxy_with_a_port_is_asked_there(serve):
    server = serve(answer(PING))
    for name in (str(server.address), f"https://{server.address}/"):
        api, settings = find_proxy(name)
        assert (api.address, settings) == (str(server.address), PING)


def test_proxy_without_a_port_is_tried_on_443_and_3080(serve, monkeypatch):
    assert web_api.DEFAULT_PORTS == (443, 3080)
    web, server = serve(answer(b"<html>")), serve(answer(PING))
    monkeypatch.setattr(web_api, "DEFAULT_PORTS", (web.address.port, server.address.port))
    assert find_proxy("localhost")[0].address == str(server.address)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = taken.getsockname()[1]
    monkeypatch.setattr(web_api, "DEFAULT_PORTS", (web.address.port, closed))
    assert failure(find_proxy, "localhost").code == "CLIENT-NOT-A-PROXY"
    monkeypatch.setattr(web_api, "DEFAULT_PORTS", (closed, closed))
    assert failure(find_proxy, "localhost").code == "CLIENT-UNREACHABLE"


@pytest.mark.parametrize("name", ["", "proxy:port", "http://proxy", "a b", "proxy:99999", "a\nb"])
def test_address_that_is_none(name):
    error = failure(find_proxy, name)
    assert (type(error), error.code) == (BadParameter, "KIND-ADDRESS")


def test_trust_is_the_machines_own():
    context = WebApi(Address("x", 1))._context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.parametrize(
    ("status", "field", "code"),
    [
        ("502 Bad Gateway", "Server: nginx/1.22.1", "NET-502-BACKEND-HTTP"),
        ("503 Service Unavailable", "Via: 1.1 balancer", "NET-502-BACKEND-HTTP"),
        ("504 Gateway Timeout", "A: b", "NET-502-BACKEND-HTTP"),
        ("400 Bad Request", "X-Teleport-Error: NET-PLAIN-HTTP", "NET-502-BACKEND-HTTP"),
        ("503 Service Unavailable", "Server: Teleport", "CLIENT-NOT-A-PROXY"),
        ("400 Bad Request", "Server: nginx/1.22.1", "CLIENT-NOT-A-PROXY"),
    ],
)
def test_s0_36_a_balancer_that_does_not_get_through(serve, status, field, code):
    """S0-36: what answers in the place of the proxy is named, and what to change in it."""
    reply = f"HTTP/1.1 {status}\r\n{field}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
    error = failure(WebApi(serve(reply).address).get, "/webapi/ping")
    assert error.code == code
    if code == "NET-502-BACKEND-HTTP":
        assert f"({field.partition(': ')[2] if field[:1] in 'SV' else 'without a name'})" in error.what
        assert 'backend-protocol: "HTTPS"' in error.fix


def test_on_the_way_that_the_environment_says(serve):
    server = serve(answer(PING))
    between = {"HTTPS_PROXY": "localhost:1", "NO_PROXY": "localhost"}
    assert WebApi(server.address, between=between).get("/webapi/ping") == PING
    error = failure(WebApi(server.address, between={"HTTPS_PROXY": "localhost:1"}).get, "/webapi/ping")
    assert error.code == "NET-CONNECT-LOOPBACK"
