"""pki.contexts: real handshakes over socket pairs, and who is refused."""

from __future__ import annotations

import datetime as dt
import os
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from teleport.base.clock import SystemClock
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import BadParameter
from teleport.pki import authority, contexts, keys, x509
from tests.support import authorities

# OpenSSL reads the machine's clock, so these certificates are made now.
NOW = SystemClock().now().replace(microsecond=0)
UNTIL = NOW + dt.timedelta(hours=1)
HOME = authorities.cluster(now=NOW)
AWAY = authorities.cluster("other.com", seed=2, now=NOW)
ENTROPY = SeededEntropy(3)
KEY = keys.make_p256(ENTROPY)
PEM = keys.private_pem(KEY).decode()
CAS = [authority.tls_issuer(ca).certificate for ca in HOME.both]
HOST_CA = [authority.tls_issuer(HOME.host).certificate]


def certificate(identity: Any, *names: str, cluster: authorities.Cluster = HOME) -> str:
    return x509.pem(cluster.tls(identity, KEY.public_key(), *names, now=NOW))


AUTH = certificate(HOME.host_identity(roles=("Auth",), expires=UNTIL))
NODE = certificate(HOME.host_identity(expires=UNTIL), "node1")
USER = certificate(HOME.identity(expires=UNTIL))
STRANGER = certificate(AWAY.identity(expires=UNTIL), cluster=AWAY)


def server(pem: str = AUTH, *, required: bool = True, **changes: Any) -> ssl.SSLContext:
    return contexts.server_context(
        certificate=pem, key=PEM, client_authorities=CAS, client_required=required, **changes
    )


def client(pem: str = USER, **changes: Any) -> ssl.SSLContext:
    return contexts.client_context(host_authorities=HOST_CA, certificate=pem, key=PEM if pem else "", **changes)


def handshake(server_side: ssl.SSLContext, client_side: ssl.SSLContext, **named: Any) -> tuple[bytes | None, str, str]:
    """Connect the two; return the client's certificate, TLS version and ALPN as the server sees them."""
    left, right = socket.socketpair()
    seen: list[Any] = []

    def serve() -> None:
        with left:
            try:
                with server_side.wrap_socket(left, server_side=True) as conn:
                    seen.append((conn.getpeercert(True), conn.version(), conn.selected_alpn_protocol() or ""))
                    conn.sendall(b"ok")
            except (ssl.SSLError, OSError) as error:
                seen.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    failure: Exception | None = None
    with right:
        try:
            with client_side.wrap_socket(right, **named) as conn:
                assert conn.recv(2) == b"ok"
        except (ssl.SSLError, OSError, AssertionError) as error:
            failure = error
    thread.join()
    if failure is not None or isinstance(seen[0], Exception):
        raise failure or seen[0]
    found: tuple[bytes | None, str, str] = seen[0]
    return found


def test_both_sides_prove_themselves() -> None:
    peer, version, alpn = handshake(server(alpn=["h2"]), client(alpn=["h2", "http/1.1"]))
    assert peer == x509.encode(x509.parse(USER.encode()))
    assert (version, alpn) == ("TLSv1.3", "h2")


def test_a_host_may_be_a_client() -> None:
    assert handshake(server(), client(NODE))[0]


@pytest.mark.parametrize("dialled", ["10.1.2.3", "anything.example", "teleport.cluster.local"])
def test_the_dialled_address_does_not_matter(dialled: str) -> None:
    assert handshake(server(), client(), server_hostname=dialled)


def test_a_node_cannot_pass_for_the_cluster() -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=r"teleport\.cluster\.local"):
        handshake(server(NODE), client(), server_hostname="node1")


def test_a_server_of_another_cluster_is_refused() -> None:
    foreign = certificate(AWAY.host_identity(roles=("Auth",), expires=UNTIL), cluster=AWAY)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server(foreign), client())


def test_a_user_cannot_be_a_server() -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server(USER), client())


def test_a_client_of_another_cluster_is_refused() -> None:
    with pytest.raises((ssl.SSLError, OSError, AssertionError)):
        handshake(server(), client(STRANGER))
    with pytest.raises((ssl.SSLError, OSError, AssertionError)):
        handshake(server(required=False), client(STRANGER))


def test_client_certificates_are_required_or_not() -> None:
    with pytest.raises((ssl.SSLError, OSError, AssertionError)):
        handshake(server(), client(""))
    assert handshake(server(required=False), client(""))[0] is None


def test_old_versions_are_refused_and_1_2_is_not() -> None:
    old = client()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    assert handshake(server(), old)[1] == "TLSv1.2"
    for context in (server(), client(), contexts.web_context(certificate=AUTH, key=PEM)):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert context.options & 8
        assert context.verify_flags & ssl.VerifyFlags.VERIFY_X509_STRICT
        assert all("DHE" in suite["name"] or suite["name"].startswith("TLS_") for suite in context.get_ciphers())


@pytest.mark.parametrize("required", [True, False])
def test_a_session_with_a_client_certificate_is_never_resumed(required: bool) -> None:
    """A resumed session is not checked again, so that an expired certificate would live on."""
    context = server(required=required)
    assert context.num_tickets == 0
    assert context.options & ssl.OP_NO_TICKET


def test_tls_inside_a_stream_verifies_the_same_name() -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    inside = client().wrap_bio(incoming, outgoing, server_side=False, server_hostname="elsewhere")
    assert inside.server_hostname == "teleport.cluster.local"


def test_the_web_asks_for_no_certificate() -> None:
    context = contexts.web_context(certificate=AUTH, key=PEM, alpn=["http/1.1"])
    assert context.verify_mode == ssl.CERT_NONE
    assert handshake(context, client(alpn=["http/1.1"]))[::2] == (None, "http/1.1")


def test_without_memory_files_the_key_is_in_a_private_folder_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    seen: list[int] = []
    load = ssl.SSLContext.load_cert_chain

    def spy(self: ssl.SSLContext, path: Any, **named: Any) -> None:
        seen.extend(os.stat(place).st_mode & 0o777 for place in (path, Path(path).parent))
        load(self, path, **named)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", spy)
    assert handshake(server(), client())
    assert seen == [0o600, 0o700] * 2
    assert list(tmp_path.iterdir()) == []


def test_keys_that_do_not_fit_are_refused() -> None:
    other = keys.private_pem(keys.make_p256(ENTROPY)).decode()
    locked = KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"word")
    ).decode()
    for key in (other, locked, ""):
        with pytest.raises(BadParameter) as caught:
            contexts.web_context(certificate=AUTH, key=key)
        assert caught.value.code == "PKI-KEY"


def test_a_context_that_trusts_nobody_is_refused() -> None:
    with pytest.raises(BadParameter, match="no authority"):
        contexts.client_context(host_authorities=[])
    with pytest.raises(BadParameter, match="no authority"):
        contexts.server_context(certificate=AUTH, key=PEM, client_authorities=[], client_required=True)


def test_one_that_checks_nothing_is_for_the_question_before_all_trust() -> None:
    assert handshake(server(required=False), contexts.unverified_context())
