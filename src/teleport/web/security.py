"""What holds for every page: headers, where a request may come from, how long its body may take, and errors
that teach.

Forms carry a token that must equal a `__Host-` cookie (double submit); a request that a browser marks
as coming from another site is refused before any handler sees it.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import re
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import HttpVersion10, HttpVersion11, web

from teleport.base.entropy import Entropy
from teleport.base.errors import AccessDenied, BadParameter, Internal, LimitExceeded, NotFound, TeleportError, TimedOut
from teleport.base.log import logger
from teleport.model.address import Address, parse_addr

log = logger("WEB")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "Teleport",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Sent with every answer. The address of an invite page is a secret: it must not travel as a referrer."""

CSRF_COOKIE = "__Host-csrf"
_HOST = re.compile(r"([A-Za-z0-9._-]{0,255}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{0,5})?")
"""A name or an address, and a port. Only HTTP/1.0 gets here without one."""
BODY_WITHIN = 10.0
"""Seconds in which the body of a request must be complete."""


@web.middleware
async def add_headers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Add the headers, and forbid to keep what does not say for how long it may be kept."""
    return harden(await handler(request))


def harden(response: web.StreamResponse) -> web.StreamResponse:
    """Add the headers to an answer that no middleware sees."""
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
    return response


@web.middleware
async def refuse_doubtful(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a request that another server may read in another way, and end the connection with it."""
    problem = _doubt(request)
    if not problem:
        return await handler(request)
    answer = await _answer(request, BadParameter("WEB-REQUEST", problem=problem), 400)
    answer.force_close()
    return answer


def _doubt(request: web.Request) -> str:
    """Return what makes a request doubtful that the parser has let through; empty for nothing."""
    if request.version not in (HttpVersion10, HttpVersion11):
        return "it is not HTTP/1.1"
    if request.version == HttpVersion10 and "Transfer-Encoding" in request.headers:
        return "HTTP/1.0 has no transfer encodings"  # RFC 9112, section 6.1
    if not _HOST.fullmatch(request.headers.get("Host", "")):
        return "its Host header is no host"
    return ""


@web.middleware
async def explain_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn an error into JSON for programs and into a page for people."""
    try:
        return await handler(request)
    except web.HTTPException as response:
        answer = await _answer(request, _explained(request, response), response.status)
        if "Allow" in response.headers:
            answer.headers["Allow"] = response.headers["Allow"]
        return answer
    except web.RequestPayloadError:
        return await _answer(request, BadParameter("WEB-REQUEST", problem="its body is damaged"), 400)
    except TeleportError as error:
        return await _answer(request, error, error.kind.http)
    except Exception as error:
        log.error("A request failed", path=request.path[:8], error=error)
        return await _answer(request, Internal("API-INTERNAL"), 500)


@web.middleware
async def take_body(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what another site sent; read the whole body before the handler runs.

    Raises AccessDenied (WEB-OTHER-SITE), TimedOut (WEB-SLOW), LimitExceeded (WEB-TOO-LARGE).
    """
    if request.method in ("GET", "HEAD"):
        return await handler(request)
    if _is_from_elsewhere(request):
        raise AccessDenied("WEB-OTHER-SITE")
    try:
        async with asyncio.timeout(BODY_WITHIN):
            await request.read()
    except TimeoutError:
        raise TimedOut("WEB-SLOW", seconds=f"{BODY_WITHIN:g}") from None
    return await handler(request)


def _is_from_elsewhere(request: web.Request) -> bool:
    """Believe the browser. Old ones name only the origin, or `null`, which leaves it to the token."""
    relation = request.headers.get("Sec-Fetch-Site")
    if relation is not None:
        return relation not in ("none", "same-origin")
    return request.headers.get("Origin", "null") not in ("null", f"https://{request.host}")


def _explained(request: web.Request, response: web.HTTPException) -> TeleportError:
    """Return the error for what aiohttp refused."""
    if response.status == 404:
        return NotFound("WEB-NOT-FOUND")
    if response.status == 405:
        return BadParameter("WEB-METHOD", allowed=response.headers.get("Allow", "nothing"))
    if response.status == 413:
        return LimitExceeded("WEB-TOO-LARGE", limit=request.client_max_size)
    return BadParameter("WEB-REQUEST", problem=response.reason)


async def _answer(request: web.Request, error: TeleportError, status: int) -> web.Response:
    if request.path.startswith(("/webapi/", "/v1/webapi/")):
        body = {
            "error": {
                "code": error.code,
                "message": error.what,
                "why": error.why,
                "fix": error.fix,
                "id": error.id,
                "fields": error.fields,
            }
        }
        return web.json_response(body, status=status)
    from teleport.web.app import render  # this module is imported by it

    return render(request, "error.html", status=status, error=error)


def csrf_token(request: web.Request, entropy: Entropy) -> str:
    """Return the token that the form must carry: the cookie's, or a new one."""
    held = request.cookies.get(CSRF_COOKIE, "")
    return held if len(held) == 64 and held.isascii() and held.isalnum() else entropy.token(32).hex()


def keep_csrf(response: web.Response, token: str) -> None:
    """Remember the token in the browser."""
    response.set_cookie(CSRF_COOKIE, token, path="/", secure=True, httponly=True, samesite="Strict")


def check_csrf(request: web.Request, sent: str) -> None:
    """Raise AccessDenied (WEB-CSRF) unless the form carries the cookie's token."""
    held = request.cookies.get(CSRF_COOKIE, "")
    # Headers may hold any bytes, which aiohttp hands on as lone surrogates.
    if not held or not hmac.compare_digest(*(text.encode("utf-8", "surrogatepass") for text in (held, sent))):
        raise AccessDenied("WEB-CSRF")


def client_address(request: web.Request) -> str:
    """Return the IP address of the client; empty where it has none. Raises BadParameter (WEB-FORWARDED)."""
    return address_of(client(request))


def client(request: web.Request) -> str:
    """Return the address of the client, `host:port`: the other end's, or what a trusted load balancer says. A port that
    the load balancer does not say is the one it has itself.

    Raises BadParameter (WEB-FORWARDED).
    """
    from teleport.web.app import SITE  # this module is imported by it

    peer = request.transport.get_extra_info("peer") if request.transport else None
    carrier = str(peer.address) if peer is not None else ""
    said = request.headers.getall("X-Forwarded-For", []) if request.app[SITE].trust_forwarded else []
    return _forwarded(said, carrier) if said else carrier


def _forwarded(said: Sequence[str], carrier: str) -> str:
    """Read the field. With several addresses nobody could say which of them a stranger wrote."""
    try:
        (only,) = said
        found = parse_addr(only.strip(), int(carrier.rpartition(":")[2] or 0))
        return str(Address(str(ipaddress.ip_address(found.host)), found.port))
    except (ValueError, BadParameter):
        raise BadParameter("WEB-FORWARDED", value=ascii(", ".join(said)[:100])) from None


def address_of(where: str) -> str:
    """Return the IP address in `host:port`; empty where there is none."""
    host = where.rpartition(":")[0].strip("[]").partition("%")[0]
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return ""
