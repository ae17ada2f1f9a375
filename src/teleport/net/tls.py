"""TLS handshakes on any Stream, with a deadline and named errors.

What is here: `server_handshake` and `client_handshake`. On a SocketStream they give a `TlsSocketStream`,
inside anything else a `TlsMemoryStream`; both behave alike. What is not: certificates and trust, which are
in the caller's SSLContext.
"""

from __future__ import annotations

import asyncio
import dataclasses
import ssl

from teleport.base.errors import TeleportError, TimedOut, Unavailable
from teleport.net.socket_stream import SocketStream, reset_error
from teleport.net.stream import Peer, Stream
from teleport.net.tls_errors import is_end, tls_error
from teleport.net.tls_memory import TlsMemoryStream
from teleport.net.tls_socket import TlsSocketStream

TlsStream = TlsSocketStream | TlsMemoryStream

_ALERT_PATIENCE = 1.0
"""Seconds in which the peer may fetch the alert that tells it why the handshake failed."""
_ASKED = "_teleport_server_name"


async def server_handshake(
    stream: Stream,
    context: ssl.SSLContext,
    timeout: float = 10.0,
    *,
    server_name: str = "",
    require_alpn: bool = False,
) -> TlsStream:
    """Be the server of a TLS connection on `stream`, which is owned by the result, or closed on failure.

    `timeout` is in seconds for the whole handshake. `server_name` is the name that the client asked for, if
    the caller has read it already; otherwise the context records it. With `require_alpn` a client that
    shares no application protocol is refused.
    Raises NotAuthenticated (NET-TLS-*: the client's certificate), Unavailable (NET-TLS-*, NET-RESET),
    TimedOut (NET-TLS-TIMEOUT).
    """
    if not server_name and context.sni_callback is None:
        context.sni_callback = _record_server_name
    tls = _wrap(stream, context, server_side=True)
    await _complete(tls, timeout)
    asked = server_name or getattr(tls.ssl_object, _ASKED, "")
    await _learn(tls, context, server_name=asked, require_alpn=require_alpn)
    return tls


async def client_handshake(
    stream: Stream,
    context: ssl.SSLContext,
    timeout: float = 10.0,
    *,
    server_name: str = "",
    require_alpn: bool = False,
) -> TlsStream:
    """Be the client of a TLS connection on `stream`; `server_name` is asked for and checked by the context.

    With TLS 1.3 a server's refusal of our certificate shows at the first read, as NotAuthenticated
    (NET-TLS-REFUSED-*). Otherwise as `server_handshake`.
    """
    tls = _wrap(stream, context, server_side=False, server_name=server_name)
    await _complete(tls, timeout)
    await _learn(tls, context, server_name=server_name, require_alpn=require_alpn)
    return tls


def _record_server_name(connection: ssl.SSLObject, name: str, context: ssl.SSLContext) -> None:
    setattr(connection, _ASKED, name or "")


def _wrap(stream: Stream, context: ssl.SSLContext, *, server_side: bool, server_name: str = "") -> TlsStream:
    if not isinstance(stream, SocketStream):
        return TlsMemoryStream(stream, context, server_side=server_side, server_name=server_name)
    sock, carrier = stream.detach(), stream.peer
    try:
        wrapped = context.wrap_socket(
            sock,
            server_side=server_side,
            server_hostname=server_name or None,
            do_handshake_on_connect=False,
            suppress_ragged_eofs=False,
        )
    except OSError as error:
        sock.close()
        raise reset_error(carrier.address, error) from error
    except BaseException:
        sock.close()
        raise
    return TlsSocketStream(wrapped, carrier)


async def _complete(tls: TlsStream, timeout: float) -> None:
    address = tls.peer.address
    failure: TeleportError
    try:
        async with asyncio.timeout(timeout):
            return await tls.handshake()
    except TimeoutError:
        failure = TimedOut("NET-TLS-TIMEOUT", address=address, seconds=f"{timeout:g}")
    except ssl.SSLError as error:
        failure = Unavailable("NET-TLS-EOF", address=address) if is_end(error) else tls_error(address, error)
        failure.__cause__ = error
    except OSError as error:
        failure = reset_error(address, error)
    except BaseException:
        await tls.close()
        raise
    if failure.code in ("NET-TLS-TIMEOUT", "NET-TLS-EOF", "NET-RESET"):
        await tls.close()
    else:
        await tls.close_after_failure(_ALERT_PATIENCE)
    raise failure


async def _learn(tls: TlsStream, context: ssl.SSLContext, *, server_name: str, require_alpn: bool) -> None:
    alpn = tls.ssl_object.selected_alpn_protocol() or ""
    if require_alpn and not alpn:
        await tls.close()
        raise Unavailable("NET-TLS-PROTOCOL", address=tls.peer.address, offered="only its own protocols")
    # Without verification the certificate says nothing about who is there.
    verified = context.verify_mode != ssl.CERT_NONE
    certificate = (tls.ssl_object.getpeercert(binary_form=True) or b"") if verified else b""
    tls.know(_facts(tls.peer, certificate, alpn, server_name))


def _facts(carrier: Peer, certificate: bytes, alpn: str, server_name: str) -> Peer:
    return dataclasses.replace(carrier, certificate=certificate, alpn=alpn, server_name=server_name.lower())
