"""TOTP: six digits that a phone computes from a shared secret and the time (RFC 6238, over RFC 4226).

Pure functions: the moment and the last used step come in, the step of an accepted code goes out. SHA-1,
six digits, steps of 30 seconds: what every authenticator app does. SHA-1 stands here inside HMAC, which
its collisions do not touch.

Not here: where secrets and used steps are kept (`auth.mfa_devices`), who has to have one
(`auth.second_factor`).
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import urllib.parse

SECRET_BYTES = 20
"""As long as what SHA-1 gives (RFC 4226, section 4, R6)."""
DIGITS = 6
PERIOD = 30
"""Seconds of one step."""
WINDOW = 1
"""Steps by which a phone's clock may be off, either way (RFC 6238, section 5.2)."""

_MODULUS = 10**DIGITS


def step_at(moment: dt.datetime) -> int:
    """Return the number of the step that `moment` is in, counted from 1970."""
    return int(moment.timestamp()) // PERIOD


def code_of(secret: bytes, step: int) -> str:
    """Return the code of a step (RFC 4226, section 5.3)."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), hashlib.sha1)
    offset = digest[-1] & 0xF
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return f"{number % _MODULUS:0{DIGITS}}"


def accepted_step(secret: bytes, code: str, now: dt.datetime, *, last: int = -1) -> int | None:
    """Return the step whose code this is, or None: it is wrong, too old, or was used.

    `last` is the step of the last accepted code; neither it nor any before it is accepted again. All
    steps of the window are computed and compared, whichever of them is right.
    """
    typed = clean(code).encode("utf-8", "surrogatepass")
    current, found = step_at(now), None
    for step in range(current - WINDOW, current + WINDOW + 1):
        if hmac.compare_digest(code_of(secret, max(step, 0)).encode(), typed) and step > last:
            found = step
    return found


def clean(code: str) -> str:
    """Return a code without the blanks with which apps group its digits."""
    return code.replace(" ", "").replace("\u00a0", "")


def base32(secret: bytes) -> str:
    """Return a secret as people type it (RFC 4648, section 6, without padding)."""
    return base64.b32encode(secret).decode().rstrip("=")


def uri(secret: bytes, *, issuer: str, account: str) -> str:
    """Return the address that authenticator apps read from a QR code."""
    label = f"{urllib.parse.quote(issuer, safe='')}:{urllib.parse.quote(account, safe='@')}"
    fields = {"secret": base32(secret), "issuer": issuer, "algorithm": "SHA1", "digits": DIGITS, "period": PERIOD}
    return f"otpauth://totp/{label}?{urllib.parse.urlencode(fields, quote_via=urllib.parse.quote)}"
