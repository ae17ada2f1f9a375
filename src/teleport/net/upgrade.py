"""The client's side of the connection upgrade: whether it is needed, and making it.

A load balancer that ends TLS hides from the proxy which protocol a client asks for; it passes on HTTP, and with it
WebSockets, in which the real TLS connection then travels (network specification, section 5). What is not here: the
server's side (`web.upgrade`), the bytes (`wire.connection_upgrade`), and when to ask (`net.way`).
"""

from __future__ import annotations

import dataclasses
import ssl

from teleport.base.entropy import Entropy
from teleport.base.errors import TeleportError, Unavailable
from teleport.net import tls
from teleport.net.framed import FramedStream
from teleport.net.http_connect import exchange, server_of
from teleport.net.stream import Stream
from teleport.wire.buffer import ProtocolError
from teleport.wire.connection_upgrade import make_key, read_answer, write_request
from teleport.wire.http_head import ERROR_FIELD, Head

PROBE_ALPN = "teleport-reversetunnel"
"""What a proxy of any version selects, and a load balancer does not."""
PROBE_TIMEOUT = 5.0
"""Seconds to find out whether an upgrade is needed."""
ANSWER_TIMEOUT = 15.0
"""Seconds until the answer to the request."""
_STRIPPED = ("NET-TLS-PROTOCOL",)


async def is_needed(carrier: Stream, server_name: str) -> bool:
    """Say whether what answers on `carrier` ends TLS before the proxy: it selects no protocol of ours. Nothing is
    trusted or told; the connection is used up. Any other failure means no."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([PROBE_ALPN])
    try:
        stream = await tls.client_handshake(carrier, context, PROBE_TIMEOUT, server_name=server_name)
    except TeleportError as error:
        return error.code in _STRIPPED
    selected = stream.peer.alpn
    await stream.close()
    return selected != PROBE_ALPN


async def upgrade(outer: Stream, host: str, entropy: Entropy) -> Stream:
    """Return the stream on which the proxy awaits the real TLS handshake. `outer` is an open TLS connection to what
    answers at `host` (`host:port`); on failure it is the caller's to close.

    Raises Unavailable (NET-502-BACKEND-HTTP, NET-UPGRADE-UNKNOWN, NET-ALPN-STRIPPED).
    """
    key = make_key(entropy.token(16))
    try:
        opened, head = await exchange(outer, write_request(host, key), timeout=ANSWER_TIMEOUT)
        if head.status != 101:
            raise refusal(head, host)
        agreed = read_answer(head, key)
    except ProtocolError as error:
        raise Unavailable("NET-ALPN-STRIPPED", address=host, server="without a name", problem=error.what) from error
    peer = dataclasses.replace(opened.peer, address=host, certificate=b"", alpn="", server_name="")
    framing = agreed.framing(entropy.token)
    if framing is not None:
        return FramedStream(opened, framing, peer=peer)
    opened.know(peer)
    return opened


def refusal(head: Head, address: str) -> TeleportError:
    """Return what it means that a request for an upgrade was answered with anything but 101."""
    server = server_of(head)
    if head.status in (502, 503, 504) or head.first(ERROR_FIELD.lower()) == "NET-PLAIN-HTTP":
        return Unavailable("NET-502-BACKEND-HTTP", address=address, server=server, status=head.status)
    if head.status == 404:
        return Unavailable("NET-UPGRADE-UNKNOWN", address=address, server=server)
    said = ascii(f"{head.status} {head.reason}".strip()[:80])[1:-1]
    problem = f"it answered a request for a WebSocket with {said}"
    return Unavailable("NET-ALPN-STRIPPED", address=address, server=server, problem=problem)
