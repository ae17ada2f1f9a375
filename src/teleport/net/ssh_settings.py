"""Settings of SSH servers: algorithms, host keys, and everything of asyncssh's that stays off.

The algorithms are those of current OpenSSH without what uses SHA-1 or CBC. AES-GCM stands first: OpenSSL
does it in hardware. Strict key exchange (the answer to Terrapin, CVE-2023-48795) is asyncssh's own and
has no switch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncssh
from asyncssh.connection import SSHServerConnectionOptions

from teleport.base.errors import BadParameter
from teleport.model.kinds.cluster_networking_config import ClusterNetworkingConfigSpec
from teleport.pki import ssh

SERVER_VERSION = "Teleport"
LOGIN_TIMEOUT = 30.0
"""Seconds from the first byte until authentication must be done."""
KEX = (
    "mlkem768x25519-sha256", "sntrup761x25519-sha512@openssh.com", "curve25519-sha256", "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521", "diffie-hellman-group16-sha512",
    "diffie-hellman-group14-sha256",
)  # fmt: skip
CIPHERS = (
    "aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr", "aes256-ctr",
)  # fmt: skip
MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512")
SIGNATURES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256")
"""Algorithms with which a client may sign; SHA-1 is not among them."""


ServerOptions = SSHServerConnectionOptions
"""Settings of a server, made by `options`."""


@dataclass(frozen=True)
class HostKey:
    """What the server proves itself with."""

    private: bytes
    """Private key in PEM, PKCS #8 or OpenSSH's form."""
    certificate: bytes
    """Blob of its host certificate."""


@dataclass(frozen=True)
class KeepAlive:
    """How a silent client is asked whether it is there."""

    interval: float = 300.0
    """Seconds of silence before each question; 0: never."""
    count: int = 3
    """Questions without an answer after which it is taken for gone."""

    @classmethod
    def of(cls, networking: ClusterNetworkingConfigSpec) -> KeepAlive:
        """Return what the cluster's settings say."""
        return cls(float(networking.keep_alive_interval), networking.keep_alive_count_max)


def options(
    host_keys: Sequence[HostKey], *, login_timeout: float = LOGIN_TIMEOUT, keep_alive: KeepAlive | None = None
) -> ServerOptions:  # fmt: skip
    """Return the settings of a server with these host keys, to be used for many connections.

    Raises BadParameter (SSH-HOST-KEY) when a key or its certificate cannot be used.
    """
    asked = keep_alive or KeepAlive()
    try:
        pairs = [_key_pair(key) for key in host_keys]
        available = [name for name in KEX if name.encode() in asyncssh.kex.get_kex_algs()]
        return SSHServerConnectionOptions(
            server_host_keys=pairs, server_version=SERVER_VERSION, login_timeout=login_timeout,
            kex_algs=available, encryption_algs=CIPHERS, mac_algs=MACS, compression_algs=None,
            signature_algs=SIGNATURES, public_key_auth=True, password_auth=False, kbdint_auth=False,
            host_based_auth=False, gss_host=None, gss_kex=False, gss_auth=False, allow_pty=False,
            agent_forwarding=False, x11_forwarding=False, sftp_factory=None, allow_scp=False, rdns_lookup=False,
            line_editor=False, encoding=None, keepalive_interval=asked.interval,
            keepalive_count_max=asked.count, config=None,
        )  # fmt: skip
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, ValueError) as error:
        raise BadParameter("SSH-HOST-KEY", problem=str(error)) from None


def _key_pair(key: HostKey) -> Any:
    private = asyncssh.import_private_key(key.private)
    certificate = asyncssh.import_certificate(ssh.parse(key.certificate).line().encode())
    return private, certificate
