"""TLS settings that all contexts share."""

import socket
import ssl

from teleport.pki import tls_settings


def test_settings():
    made = tls_settings.prepare(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ("x",))
    assert made.minimum_version == ssl.TLSVersion.TLSv1_2
    assert made.verify_flags & ssl.VerifyFlags.VERIFY_X509_STRICT
    assert made.options & ssl.OP_NO_RENEGOTIATION
    assert made.options & ssl.OP_NO_COMPRESSION


def test_a_context_that_knows_one_name_only():
    made = tls_settings.ClusterContext(ssl.PROTOCOL_TLS_CLIENT)
    near = made.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="elsewhere.example")
    assert near.server_hostname == tls_settings.CLUSTER_NAME
    one, two = socket.socketpair()
    with two, made.wrap_socket(one, do_handshake_on_connect=False) as wrapped:
        assert wrapped.server_hostname == tls_settings.CLUSTER_NAME


def test_without_protocols_none_is_offered():
    assert isinstance(tls_settings.prepare(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ()), ssl.SSLContext)


def test_a_client_of_public_names_believes_the_system_or_anything():
    believing = tls_settings.public_context()
    assert (believing.verify_mode, believing.check_hostname) == (ssl.CERT_REQUIRED, True)
    careless = tls_settings.public_context(insecure=True, alpn=("x",))
    assert (careless.verify_mode, careless.check_hostname) == (ssl.CERT_NONE, False)
