"""The proxy's sign-in endpoints: with a password alone, or in two steps with a second factor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from teleport.base.errors import NotSupported


class Poster(Protocol):
    """Sends JSON to a proxy, as `client.web_api.WebApi` does."""

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]: ...


def exchange(
    proxy: Poster, settings: Mapping[str, Any], request: dict[str, Any], code: Callable[[], str]
) -> dict[str, Any]:  # fmt: skip
    """Return the proxy's answer to user, password and public keys; `code` is asked where one is needed.

    `settings` is the answer of `/webapi/ping`. Raises what the proxy answers, and NotSupported
    (CLIENT-FACTOR) for a factor that this build does not know.
    """
    auth = settings.get("auth")
    kind = str(auth.get("second_factor", "off")) if isinstance(auth, Mapping) else "off"
    if kind == "off":
        return proxy.post("/webapi/ssh/certs", request)
    asked = proxy.post("/webapi/mfa/login/begin", {"user": request["user"], "pass": request["password"]})
    if asked.get("totp_challenge") is not True:
        raise NotSupported("CLIENT-FACTOR", kind=ascii(kind[:40]))
    return proxy.post("/webapi/mfa/login/finish", {**request, "totp_code": code()})
