"""Client addresses that a proxy vouches for: the signed entry of a PROXY header (network specification, section 3.3).

What is here: making the entry with the key of a proxy's certificate, and the check of one. The entry holds the
certificate and a JSON web token (RFC 7519, ES256) whose claims repeat the addresses of the header, so that it fits
this header only. What is not: the header itself (`wire.proxy_header`), and who asks for it (`net.proxy_protocol`).
"""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import json
from collections.abc import Iterable, Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from teleport.base.errors import AccessDenied, TeleportError
from teleport.model.kinds.cert_authority import CertAuthority
from teleport.pki import keys, x509
from teleport.pki.check import check_x509
from teleport.wire.buffer import ProtocolError, Reader, Writer
from teleport.wire.proxy_header import Endpoint, ProxyHeader

ENTRY = 0xE4
"""Type of the entry in a PROXY header of version 2."""
LIFETIME = dt.timedelta(seconds=60)
"""How long a signature is valid: it is made for one connection that follows at once."""
BACKDATE = dt.timedelta(seconds=10)
"""How long before now validity begins: clocks differ."""

_CERTIFICATE, _TOKEN = 0x01, 0x02
_ROLE = "Proxy"
_WIDTH = 32


def sign(
    key: ec.EllipticCurvePrivateKey, certificate: bytes, *, cluster: str, source: Endpoint, destination: Endpoint,
    now: dt.datetime,
) -> tuple[int, bytes]:  # fmt: skip
    """Return type and value of the entry for a header with these addresses.

    `certificate` (DER) is the proxy's host certificate, `key` its key.
    """
    claims = {
        "iss": cluster, "sub": _shown(source), "aud": [_shown(destination)], "nbf": _seconds(now - BACKDATE),
        "iat": _seconds(now), "exp": _seconds(now + LIFETIME),
    }  # fmt: skip
    signed = f"{_encode(_json({'alg': 'ES256', 'typ': 'JWT'}))}.{_encode(_json(claims))}"
    r, s = decode_dss_signature(keys.sign(key, signed.encode()))
    token = f"{signed}.{_encode(r.to_bytes(_WIDTH, 'big') + s.to_bytes(_WIDTH, 'big'))}"
    value = Writer()
    value.u8(_CERTIFICATE).vector16(certificate)
    value.u8(_TOKEN).vector16(token.encode())
    return ENTRY, bytes(value)


def is_signed(header: ProxyHeader) -> bool:
    """Say whether a header claims to be signed; `check` tells whether it is."""
    return any(kind == ENTRY for kind, _ in header.entries)


def check(header: ProxyHeader, *, authorities: Iterable[CertAuthority], now: dt.datetime, cluster: str) -> None:
    """Return if a proxy of this cluster vouches for the addresses of the header.

    Raises AccessDenied (PKI-CLIENT-ADDRESS) with the reason: no or several entries, a certificate that is not one of
    a proxy by the local host authority, a token that its key did not sign, that says another address, or whose time
    is over.
    """
    found = [value for kind, value in header.entries if kind == ENTRY]
    if len(found) != 1 or header.source is None or header.destination is None:
        raise _refused("it is not signed once, for one address")
    certificate, token = _parts(found[0])
    claims = _claims(token, _proxy_key(certificate, authorities, now, cluster))
    wanted = {"iss": cluster, "sub": _shown(header.source), "aud": [_shown(header.destination)]}
    for name, value in wanted.items():
        if claims.get(name) != value:
            raise _refused(f"the claim {name} is not that of the header")
    begins, ends = claims.get("nbf"), claims.get("exp")
    if not isinstance(begins, int) or not isinstance(ends, int) or not begins <= now.timestamp() < ends:
        raise _refused("the signature is not valid at this time; compare the clocks of both hosts")


def _parts(value: bytes) -> tuple[bytes, bytes]:
    reader, found = Reader(value), dict[int, bytes]()
    try:
        while reader.remaining:
            kind = reader.u8()
            if kind in found:
                raise _refused("a part of the signature is there twice")
            found[kind] = reader.vector16()
        return found[_CERTIFICATE], found[_TOKEN]
    except (ProtocolError, KeyError):
        raise _refused("the signature is incomplete") from None


def _proxy_key(
    certificate: bytes, authorities: Iterable[CertAuthority], now: dt.datetime, cluster: str
) -> keys.PublicKey:  # fmt: skip
    try:
        identity = check_x509(certificate, authorities=authorities, now=now, source_ip="", cluster=cluster)
        key = keys.load_spki(keys.spki(x509.parse(certificate).public_key()))  # type: ignore[arg-type]
    except TeleportError as error:
        raise _refused(f"its certificate is not accepted: {error.what} ({error.code})") from None
    if not identity.is_host or _ROLE not in {*identity.roles, *identity.system_roles}:
        raise _refused("its certificate is not one of a proxy")
    return key


def _claims(token: bytes, key: keys.PublicKey) -> Mapping[str, Any]:
    signed, _, signature = token.rpartition(b".")
    head, _, body = signed.partition(b".")
    try:
        raw, header, claims = _decode(signature), json.loads(_decode(head)), json.loads(_decode(body))
    except (ValueError, RecursionError):
        raise _refused("the token is malformed") from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise _refused("the token is malformed")
    # The algorithm is ours, not the token's choice: anything else would let it say `none`.
    if header.get("alg") != "ES256" or not isinstance(key, ec.EllipticCurvePublicKey) or len(raw) != 2 * _WIDTH:
        raise _refused("the token is not signed with ES256")
    r, s = int.from_bytes(raw[:_WIDTH], "big"), int.from_bytes(raw[_WIDTH:], "big")
    if not keys.verify(key, encode_dss_signature(r, s), signed):
        raise _refused("the token is not signed by the certificate's key")
    return claims


def _decode(part: bytes) -> bytes:
    """Read base64url without padding (RFC 7515, section 2). Raises ValueError."""
    return base64.b64decode(part + b"=" * (-len(part) % 4), b"-_", validate=True)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _seconds(moment: dt.datetime) -> int:
    return int(moment.timestamp())


def _shown(end: Endpoint) -> str:
    host = str(ipaddress.ip_address(end.host))
    return f"[{host}]:{end.port}" if ":" in host else f"{host}:{end.port}"


def _refused(problem: str) -> AccessDenied:
    return AccessDenied("PKI-CLIENT-ADDRESS", problem=problem)
