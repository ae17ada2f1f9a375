"""A throw-away certificate authority and TLS contexts for tests of the network floor."""

from __future__ import annotations

import datetime as dt
import functools
import ssl
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from teleport.base.clock import SystemClock

NAME = "proxy.example"


class Authority:
    """Issues certificates for tests; OpenSSL judges them by the machine's clock."""

    def __init__(self, name: str = "test authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self._certificate = self._build(self._name, self._key.public_key(), None, -1, 1, ca=True)

    def dump(self) -> bytes:
        """Return everything that makes another process the same authority: `load`."""
        return self.pem.encode() + self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @classmethod
    def load(cls, dumped: bytes) -> Authority:
        """Return the authority that `dump` was called on."""
        made = cls.__new__(cls)
        key = serialization.load_pem_private_key(dumped, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        made._key = key
        made._certificate = x509.load_pem_x509_certificate(dumped)
        made._name = made._certificate.subject
        return made

    @property
    def pem(self) -> str:
        return self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, name: str = NAME, *, start: float = -1, end: float = 1) -> bytes:
        """Return a PEM with certificate and key, valid from `start` to `end` days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._build(_name(name), key.public_key(), name, start, end)
        return certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def server(self, *, alpn: Sequence[str] = (), clients: bool = False, pem: bytes | None = None) -> ssl.SSLContext:
        """Return a server's context; with `clients` a certificate of this authority is required."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        _load(context, pem or self.issue())
        if alpn:
            context.set_alpn_protocols(list(alpn))
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=self.pem)
        return context

    def client(self, *, alpn: Sequence[str] = (), pem: bytes | None = None) -> ssl.SSLContext:
        """Return a client's context, with the certificate `pem` if given."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.pem)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        if pem:
            _load(context, pem)
        return context

    def _build(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, host: str | None, start: float, end: float,
        *, ca: bool = False,
    ) -> x509.Certificate:  # fmt: skip
        now = SystemClock().now()
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + dt.timedelta(days=start))
            .not_valid_after(now + dt.timedelta(days=end))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if host:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        return builder.sign(self._key, hashes.SHA256())


@functools.cache
def authority(name: str = "test authority") -> Authority:
    """Return the same authority each time in one process."""
    return Authority(name)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _load(context: ssl.SSLContext, pem: bytes) -> None:
    """The ssl module reads certificates from files only."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pair.pem")
        path.write_bytes(pem)
        context.load_cert_chain(path)
