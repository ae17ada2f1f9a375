"""WebFind: `/webapi/find`, which a proxy answers with its addresses, and why an address does not answer it.

The words are those that programs written in Go have for the same failures: the reference quotes them, and people search
for them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

import msgspec

from teleport.base.entropy import Entropy
from teleport.base.errors import NotAuthenticated, TeleportError, Unavailable
from teleport.model.address import parse_addr
from teleport.net import dial, http_get, tls
from teleport.net.network import Network
from teleport.net.stream import Stream
from teleport.net.way import WEB_PORT, Way
from teleport.pki import contexts, tls_settings, x509
from teleport.version import VERSION

PATH = "/webapi/find"
TIMEOUT = 15.0
"""Seconds for the handshake, and for the answer."""
_OTHER = "x509: certificate signed by unknown authority"
_TLS = {
    "NET-TLS-UNKNOWN-CA": _OTHER,
    "NET-TLS-EXPIRED": "x509: certificate has expired or is not yet valid",
    "NET-TLS-NOT-YET-VALID": "x509: certificate has expired or is not yet valid",
    "NET-TLS-NOT-TLS": "http: server gave HTTP response to HTTPS client",
}


class WebFind:
    """Asks proxies what they are."""

    def __init__(
        self, *, network: Network, entropy: Entropy, environment: Mapping[str, str], insecure: bool = False
    ) -> None:  # fmt: skip
        """`insecure`: whoever answers is believed."""
        self._network = network
        self._entropy = entropy
        self._environment = environment
        self._insecure = insecure

    async def ask(self, address: str) -> Mapping[str, Any]:
        """Return the answer. Raises Unavailable (BOT-PROXY-FIND), BadParameter (KIND-ADDRESS)."""
        where = parse_addr(address, WEB_PORT)
        way = Way(str(where), network=self._network, entropy=self._entropy, environment=self._environment)
        try:
            stream = await self._open(await way.reach(), where.host)
            head, body = await _get(stream, str(where))
        except TeleportError as error:
            problem = await self._words(error, way, where.host)
            raise _unanswered(str(where), problem) from error
        if head != 200:
            raise _unanswered(str(where), f"unexpected HTTP status {head}")
        try:
            return msgspec.json.decode(body, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise _unanswered(str(where), "the answer is not that of a proxy") from None

    async def upgraded(self, address: str) -> bool:
        """Say whether connections to a proxy must be carried in a WebSocket, because what answers at its address ends
        TLS. Raises BadParameter (KIND-ADDRESS)."""
        where = parse_addr(address, WEB_PORT)
        way = Way(str(where), network=self._network, entropy=self._entropy, environment=self._environment)
        try:
            return way.upgraded or await way.find_out()
        except TeleportError:
            return False

    async def _open(self, carrier: Stream, host: str) -> Stream:
        context = tls_settings.public_context(insecure=self._insecure)
        return await tls.client_handshake(carrier, context, TIMEOUT, server_name=host)

    async def _words(self, error: TeleportError, way: Way, host: str) -> str:
        match error.code:
            case "NET-REFUSED":
                return f"dial tcp {await _resolved(way)}: connect: connection refused"
            case "NET-TIMEOUT":
                return f"dial tcp {await _resolved(way)}: i/o timeout"
            case "NET-UNREACHABLE":
                return f"dial tcp {await _resolved(way)}: connect: {error.why}"
            case "NET-DNS":
                return f"dial tcp: lookup {host}: no such host"
        if isinstance(error, NotAuthenticated) and error.code in ("NET-TLS-UNKNOWN-CA", "NET-TLS-NAME"):
            return await _blemish(way, host) or _OTHER
        return _TLS.get(error.code, error.what)


async def _get(stream: Stream, host: str) -> tuple[int, bytes]:
    try:
        head, body = await http_get.get(stream, host, PATH, agent=f"tbot/{VERSION}", timeout=TIMEOUT)
        return head.status, body
    finally:
        await stream.close()


async def _resolved(way: Way) -> str:
    """Return the address that was dialled."""
    try:
        name = (await dial.resolve(dial.parse_address(str(way.address))))[0][1]
    except TeleportError:
        return str(way.address)
    host = str(name[0])
    return f"[{host}]:{name[1]}" if ":" in host else f"{host}:{name[1]}"


async def _blemish(way: Way, host: str) -> str:
    """Return what is wrong with the names of the certificate that is shown: it is looked at before its issuer."""
    try:
        stream = await tls.client_handshake(await way.reach(), contexts.unverified_context(), TIMEOUT, server_name=host)
        try:
            names, addresses = _names(stream.ssl_object.getpeercert(binary_form=True) or b"")
        finally:
            await stream.close()
    except TeleportError:
        return ""
    if _is_address(host):
        if not addresses:
            return f"x509: cannot validate certificate for {host} because it doesn't contain any IP SANs"
        return "" if host in addresses else f"x509: certificate is valid for {', '.join(addresses)}, not {host}"
    if any(_covers(name, host) for name in names):
        return ""
    return f"x509: certificate is valid for {', '.join(names)}, not {host}"


def _names(certificate: bytes) -> tuple[list[str], list[str]]:
    """Return names and addresses for which a certificate (DER) is."""
    from cryptography.x509 import DNSName, ExtensionNotFound, IPAddress, SubjectAlternativeName

    try:
        found = x509.parse(certificate).extensions.get_extension_for_class(SubjectAlternativeName).value
    except ExtensionNotFound:
        return [], []
    return found.get_values_for_type(DNSName), [str(each) for each in found.get_values_for_type(IPAddress)]


def _covers(name: str, host: str) -> bool:
    """Whether a name of a certificate, which may begin with `*.`, is for a host (RFC 6125)."""
    name, host = name.lower(), host.lower().rstrip(".")
    return name == host or (name.startswith("*.") and host.partition(".")[2] == name[2:])


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _unanswered(address: str, problem: str) -> Unavailable:
    return Unavailable("BOT-PROXY-FIND", address=address, problem=problem)
