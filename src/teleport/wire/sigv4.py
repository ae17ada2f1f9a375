"""Requests to AWS, signed (Signature Version 4), and such a request as somebody else made it.

`sign` makes the headers of a request; `read` takes a whole request apart, strictly: it was written by a stranger, and
whoever sends it on must know each byte that goes out. Source: AWS Signature Version 4 signing process.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from teleport.base.errors import BadParameter

LONGEST = 16 * 1024
"""Bytes of a request."""
MOST_HEADERS = 32
ALGORITHM = "AWS4-HMAC-SHA256"

_NAME = re.compile(r"[a-z0-9-]{1,64}")
_VALUE = re.compile(r"[\x20-\x7e]*")
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[A-Za-z0-9_]{4,128})/(?P<day>[0-9]{8})/(?P<region>[a-z0-9-]{1,40})"
    r"/(?P<service>[a-z0-9-]{1,40})/aws4_request, ?SignedHeaders=(?P<names>[a-z0-9;-]{1,1024}), ?"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Keys of an AWS identity."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)
    """Empty: keys that do not end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequest:
    """A request as its maker signed it."""

    method: str
    target: str
    headers: Mapping[str, str]
    """Names in lower case, each once."""
    body: bytes
    region: str
    service: str
    signed: frozenset[str]
    """Names of the headers that are signed."""

    @property
    def host(self) -> str:
        """Whom it is for."""
        return self.headers.get("host", "")


def sign(
    credentials: Credentials, *, host: str, region: str, service: str, body: bytes, headers: Mapping[str, str],
    now: dt.datetime,
) -> dict[str, str]:  # fmt: skip
    """Return the headers of `POST /` to `host`, all signed; those given have names in lower case."""
    stamp = now.astimezone(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    shown = {**headers, "host": host, "x-amz-date": stamp}
    if credentials.session_token:
        shown["x-amz-security-token"] = credentials.session_token
    names = ";".join(sorted(shown))
    lines = "".join(f"{name}:{' '.join(shown[name].split())}\n" for name in sorted(shown))
    canonical = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    to_sign = f"{ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = b"AWS4" + credentials.secret_key.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.new(key, to_sign.encode(), "sha256").hexdigest()
    credential = f"{credentials.access_key}/{scope}"
    return {
        **shown,
        "authorization": f"{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}",
    }


def write(headers: Mapping[str, str], body: bytes) -> str:
    """Return `POST /` as text, head and body."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST / HTTP/1.1\r\n{lines}content-length: {len(body)}\r\n\r\n{body.decode()}"


def read(text: str) -> SignedRequest:
    """Take a request apart. Raises BadParameter (WIRE-SIGV4)."""
    if len(text) > LONGEST or not text.isascii():
        raise _bad("it is too long, or not ASCII")
    head, separator, body = text.partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    words = first.split(" ")
    if not separator or len(words) != 3 or words[2] != "HTTP/1.1":
        raise _bad("it is not a request of HTTP/1.1")
    headers = _headers(lines)
    if headers.pop("content-length", str(len(body))) != str(len(body)):
        raise _bad("its length is not what it says")
    found = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if found is None:
        raise _bad("its signature is not of version 4")
    signed = frozenset(found["names"].split(";")) - {"content-length"}
    if not signed <= headers.keys():
        raise _bad("a header that is signed is not there")
    return SignedRequest(
        method=words[0], target=words[1], headers=headers, body=body.encode(), region=found["region"],
        service=found["service"], signed=signed,
    )  # fmt: skip


def _headers(lines: list[str]) -> dict[str, str]:
    if len(lines) > MOST_HEADERS:
        raise _bad(f"it has more than {MOST_HEADERS} headers")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        name, value = name.lower(), value.strip(" ")
        if not colon or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise _bad("a header is not `name: value`")
        if name in headers:
            raise _bad(f"the header {name} is there twice")
        headers[name] = value
    return headers


def _bad(problem: str) -> BadParameter:
    return BadParameter("WIRE-SIGV4", problem=problem)
