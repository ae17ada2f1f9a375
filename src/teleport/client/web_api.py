"""Calls to the proxy's JSON endpoints, over the standard library's HTTP client.

The proxy's web certificate is checked against the system's authorities (`SSL_CERT_FILE` names others);
`insecure` skips that check alone: the authorities of the cluster come with the sign-in and are checked
from then on.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from typing import Any

from teleport.base.errors import CLASSES, Internal, TeleportError, Unavailable, from_grpc
from teleport.client.profile import DEFAULT_PORTS, address_of
from teleport.model.address import Address
from teleport.pki.tls_settings import public_context
from teleport.wire.http_head import ERROR_FIELD

TIMEOUT = 20.0
"""Seconds for connecting and for each answer."""
MAX_ANSWER = 1 << 20


class WebApi:
    """A proxy's web port."""

    def __init__(
        self, address: Address, *, insecure: bool = False, timeout: float = TIMEOUT,
        between: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """`timeout`: seconds for connecting and for each part of an answer. `between`: variables of the environment
        that change the way to the proxy (`client.profile.between`)."""
        self.address = str(address)
        self._host, self._port = address
        self._insecure = insecure
        self._timeout = timeout
        self.between = between or {}

    def get(self, path: str) -> dict[str, Any]:
        """Return the answer to a GET. Raises the error that the proxy sent, or Unavailable (CLIENT-*)."""
        return self._call("GET", path, None)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a POST of JSON. Raises as `get`."""
        return self._call("POST", path, body)

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if data else {}
        context = self._context()
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=context)
        try:
            if self.between:
                connection.sock = self._carried(context)
            connection.request(method, path, body=data, headers=headers)
            with connection.getresponse() as response:  # closing the connection alone leaves its socket open
                answer = response.read(MAX_ANSWER + 1)
        except ssl.SSLCertVerificationError as problem:
            raise Unavailable("CLIENT-WEB-CERT", address=self.address, problem=problem.verify_message) from None
        except ssl.SSLError as problem:
            raise Unavailable("CLIENT-NOT-TLS", address=self.address, problem=problem.reason or problem) from None
        except (OSError, UnicodeError, http.client.HTTPException) as problem:
            raise Unavailable("CLIENT-UNREACHABLE", address=self.address, problem=_words(problem)) from None
        finally:
            connection.close()
        if (refusal := _of_a_balancer(self.address, response)) is not None:
            raise refusal
        return _decode(self.address, response.status, answer)

    def _carried(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        """Return a connection on the way that the environment says."""
        from teleport.client.way import straight

        carrier = straight(self.address, self.between)
        carrier.settimeout(self._timeout)
        return context.wrap_socket(carrier, server_hostname=self._host)

    def _context(self) -> ssl.SSLContext:
        return public_context(insecure=self._insecure)


def _of_a_balancer(address: str, response: http.client.HTTPResponse) -> TeleportError | None:
    """Return the error for an answer that shows that a load balancer does not get through to the proxy."""
    field = response.headers.get
    if response.status not in (502, 503, 504) and field(ERROR_FIELD) != "NET-PLAIN-HTTP":
        return None
    if field("Server") == "Teleport":  # the proxy itself answers so while its Auth Service is away
        return None
    server = ascii((field("Server") or field("Via") or "without a name")[:60])[1:-1]
    return Unavailable("NET-502-BACKEND-HTTP", address=address, server=server, status=response.status)


def _words(problem: Exception) -> str:
    return str(getattr(problem, "strerror", "") or problem or type(problem).__name__)


def _decode(address: str, status: int, answer: bytes) -> dict[str, Any]:
    try:
        document = json.loads(answer) if len(answer) <= MAX_ANSWER else None
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict) and status == 200:
        return document
    error = document.get("error") if isinstance(document, dict) and status >= 400 else None
    if not isinstance(error, dict):
        raise Unavailable("CLIENT-NOT-A-PROXY", address=address, status=status)
    raise _error(status, error)


def _error(status: int, error: dict[str, Any]) -> TeleportError:
    """Rebuild an error that the proxy sent, as far as this build knows it."""
    cls = next((c for c in CLASSES if c.kind.http == status), Internal)
    code, message, id = (str(error.get(name, "")) for name in ("code", "message", "id"))
    fields = error.get("fields")
    sent = {str(name): str(value) for name, value in fields.items()} if isinstance(fields, dict) else {}
    rebuilt = from_grpc(cls.kind.grpc, code, sent, id)
    return (
        cls("API-REMOTE", id=id, remote_code=code or "?", message=message) if rebuilt.code == "API-REMOTE" else rebuilt
    )


def find_proxy(
    name: str, *, insecure: bool = False, between: Mapping[str, str] | None = None
) -> tuple[WebApi, dict[str, Any]]:  # fmt: skip
    """Return the proxy that `name` means, with its settings.

    A name without a port is tried on 443 and then on 3080. Raises BadParameter (KIND-ADDRESS), and of the
    failures of all attempts the first that is more than silence.
    """
    host, port = address_of(name)
    problems: list[TeleportError] = []
    for number in [port] if port else DEFAULT_PORTS:
        api = WebApi(Address(host, number), insecure=insecure, between=between)
        try:
            return api, api.get("/webapi/ping")
        except TeleportError as error:
            problems.append(error)
    raise next((error for error in problems if error.code != "CLIENT-UNREACHABLE"), problems[-1])
