"""Calls to the proxy's JSON endpoints, over the standard library's HTTP client.

The proxy's web certificate is checked against the system's authorities (`SSL_CERT_FILE` adds to them);
`insecure` skips that check alone: the authorities of the cluster come with the sign-in and are checked
from then on.
"""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any

from teleport.base.errors import CLASSES, Internal, TeleportError, Unavailable, from_grpc

TIMEOUT = 20.0
"""Seconds for connecting and for each answer."""
MAX_ANSWER = 1 << 20
DEFAULT_PORTS = (443, 3080)
"""Tried in this order for a proxy given without a port."""


class WebApi:
    """A proxy's web port."""

    def __init__(self, address: str, *, insecure: bool = False) -> None:
        self.address = address
        self._insecure = insecure

    def get(self, path: str) -> dict[str, Any]:
        """Return the answer to a GET. Raises the error that the proxy sent, or Unavailable (CLIENT-*)."""
        return self._call("GET", path, None)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a POST of JSON. Raises as `get`."""
        return self._call("POST", path, body)

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        host, port = split(self.address)
        connection = http.client.HTTPSConnection(host, port, timeout=TIMEOUT, context=self._context())
        try:
            data = None if body is None else json.dumps(body).encode()
            connection.request(method, path, body=data, headers={"Content-Type": "application/json"} if data else {})
            response = connection.getresponse()
            answer = response.read(MAX_ANSWER + 1)
        except ssl.SSLCertVerificationError as problem:
            raise Unavailable("CLIENT-WEB-CERT", address=self.address, problem=problem.verify_message) from None
        except ssl.SSLError as problem:
            raise Unavailable("CLIENT-NOT-TLS", address=self.address, problem=problem.reason or problem) from None
        except (OSError, http.client.HTTPException) as problem:
            raise Unavailable("CLIENT-UNREACHABLE", address=self.address, problem=problem) from None
        finally:
            connection.close()
        return _decode(self.address, response.status, answer)

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self._insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def split(address: str) -> tuple[str, int]:
    """Split `host:port`; IPv6 stands in brackets."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _decode(address: str, status: int, answer: bytes) -> dict[str, Any]:
    try:
        document = json.loads(answer)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise Unavailable("CLIENT-NOT-A-PROXY", address=address, status=status)
    if status < 400:
        return document
    raise _error(status, document.get("error"))


def _error(status: int, error: object) -> TeleportError:
    if not isinstance(error, dict):
        return Internal("API-REMOTE", remote_code="?", message=f"HTTP status {status}")
    cls = next((c for c in CLASSES if c.kind.http == status), Internal)
    fields = {str(k): str(v) for k, v in dict(error.get("fields") or {}).items()}
    rebuilt = from_grpc(cls.kind.grpc, str(error.get("code", "")), fields, str(error.get("id", "")))
    if rebuilt.code != "API-REMOTE":
        return rebuilt
    return cls("API-REMOTE", remote_code=error.get("code", "?"), message=error.get("message", ""))


def find_proxy(name: str, *, insecure: bool = False) -> tuple[WebApi, dict[str, Any]]:
    """Return the proxy that `name` means, with its settings.

    A name without a port is tried on 443 and then on 3080. Raises the error of the last attempt.
    """
    host, colon, port = name.rpartition(":")
    if colon and port.isdigit() and not host.endswith(":"):
        api = WebApi(name, insecure=insecure)
        return api, api.get("/webapi/ping")
    problem: TeleportError | None = None
    for number in DEFAULT_PORTS:
        api = WebApi(f"{name}:{number}", insecure=insecure)
        try:
            return api, api.get("/webapi/ping")
        except Unavailable as error:
            problem = error
            if error.code == "CLIENT-WEB-CERT":
                break
    assert problem is not None  # noqa: S101 - both ports were tried
    raise problem
