"""CA pins: which authority to believe before there is any certificate.

Who joins the Auth Service directly asks it, over a connection that proves nothing, for the certificates that sign those
of its services, and compares every one with the pins that the administrator handed over (`tctl status` prints them).
Only a connection that is checked against these certificates carries the token. Through a proxy none of this is needed:
there its web certificate is checked.
"""

from __future__ import annotations

import datetime as dt
import ssl
from collections.abc import Awaitable, Callable, Sequence

from teleport.api.client import AuthClient, over_stream
from teleport.api.join_calls import JoinCalls
from teleport.base.errors import AccessDenied, BadParameter
from teleport.base.log import logger
from teleport.net.stream import Stream
from teleport.pki import contexts, x509

log = logger("AUTH")

ALPN = ("h2",)
MOST_CERTIFICATES = 16
"""Two during a rotation; a few more where keys are in hardware."""

Open = Callable[[ssl.SSLContext], Awaitable[Stream]]
"""Opens a TLS stream to the Auth Service with the given context."""


async def roots(open_: Open, pins: Sequence[str], *, now: dt.datetime, insecure: bool = False) -> tuple[bytes, ...]:
    """Return the certificates (DER) by which the Auth Service is to be recognised from now on.

    With `pins` each of them must be among those; without, or with `insecure`, they are believed, and a warning says
    what that means. Raises AccessDenied (CLIENT-CA-PIN, CLIENT-CA-TIME), BadParameter (CLIENT-CA-PIN-FORM, PKI-X509)
    and what `open_` raises.
    """
    wanted = {_normal(pin) for pin in pins}
    context = contexts.unverified_context(alpn=ALPN)
    async with AuthClient(over_stream(lambda: open_(context))) as client:
        said = await JoinCalls(client).cluster_ca()
    found = [der for text in said.certificates[:MOST_CERTIFICATES] for der in x509.split_pem(text)]
    if insecure or not wanted:
        log.warn(_INSECURE if insecure else _NO_PINS)
    else:
        _check(found, wanted, now)
    if not found:
        raise AccessDenied("CLIENT-CA-PIN", pins=", ".join(sorted(wanted)) or "(none)", found="no certificate")
    return tuple(found)


_NO_PINS = (
    "Joining cluster without validating the identity of the Auth Server. This may open you up to a Man-In-The-Middle "
    "(MITM) attack if an attacker can gain privileged network access. To remedy this, use the CA pin value provided "
    "when join token was generated to validate the identity of the Auth Server."
)
_INSECURE = "Joining cluster without validating the identity of the Auth Server, as --insecure asks"


def _check(found: Sequence[bytes], wanted: set[str], now: dt.datetime) -> None:
    """Raise AccessDenied unless every certificate is pinned and valid now."""
    for der in found:
        pin = x509.pin(der)
        if pin not in wanted:
            raise AccessDenied("CLIENT-CA-PIN", pins=", ".join(sorted(wanted)), found=pin)
        certificate = x509.parse(der)
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if not begin <= now <= end:
            raise AccessDenied("CLIENT-CA-TIME", begin=begin.isoformat(), end=end.isoformat(), now=now.isoformat())


def _normal(pin: str) -> str:
    kind, _, digest = pin.strip().lower().partition(":")
    if kind != "sha256" or len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise BadParameter("CLIENT-CA-PIN-FORM", pin=ascii(pin[:80]))
    return f"sha256:{digest}"
