"""CloudRoots: the certificates by which what clouds sign is recognised. Nobody is believed without one.

AWS signs the identity documents of instances with one key for each region, whose certificates it publishes on a page
of its documentation (AWS public certificates for instance identity document signatures) and nowhere else: they are
given in a file. The roots of Azure (Azure Certificate Authority details) are public ones, which systems come with; a
file replaces them. Files are read each time, so they can be put right while the Auth Service runs.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Literal

from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID

from teleport.base.disk import Disk
from teleport.base.errors import TeleportError, Unavailable

AWS_FILE, AZURE_FILE = "TELEPORT_AWS_CERTIFICATES", "TELEPORT_AZURE_ROOTS"
"""Variables that name files (PEM)."""
SYSTEM_ROOTS = (
    "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)  # fmt: skip
AZURE_ROOTS = frozenset({
    "DigiCert Global Root CA", "DigiCert Global Root G2", "DigiCert Global Root G3", "DigiCert TLS ECC P384 Root G5",
    "DigiCert TLS RSA 4096 Root G5", "Microsoft ECC Root Certificate Authority 2017",
    "Microsoft RSA Root Certificate Authority 2017",
})  # fmt: skip
"""Common names of the roots that Azure uses."""
LARGEST = 2 * 1024 * 1024
_PEM = re.compile(b"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_PUBLISHED = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/regions-certs.html"


class CloudRoots:
    """Finds certificates as the environment says."""

    def __init__(self, environment: Mapping[str, str], disk: Disk, system: tuple[str, ...] = SYSTEM_ROOTS) -> None:
        """`system`: files with the roots of the system, of which the first that exists is read."""
        self._environment = environment
        self._disk = disk
        self._system = system

    def aws(self) -> list[x509.Certificate]:
        """Return the certificates of the regions of AWS. Raises Unavailable (AUTH-JOIN-ROOTS)."""
        path = self._environment.get(AWS_FILE, "")
        if not path:
            raise _no_roots("aws", f"{AWS_FILE} is not set")
        return self._load("aws", path)

    def azure(self) -> list[x509.Certificate]:
        """Return the roots of Azure. Raises Unavailable (AUTH-JOIN-ROOTS)."""
        if path := self._environment.get(AZURE_FILE, ""):
            return self._load("azure", path)
        for path in self._system:
            if self._disk.exists(path):
                return [each for each in self._load("azure", path) if common_name(each) in AZURE_ROOTS]
        raise _no_roots("azure", "this system has no file with public roots")

    def _load(self, cloud: Literal["aws", "azure"], path: str) -> list[x509.Certificate]:
        try:
            parts = _PEM.findall(self._disk.read(path, limit=LARGEST))
        except TeleportError as error:
            raise _no_roots(cloud, error.what) from None
        if not (found := [each for each in map(_certificate, parts) if each is not None]):
            raise _no_roots(cloud, f"{path} holds no certificates")
        return found


def _certificate(data: bytes) -> x509.Certificate | None:
    """Read a certificate, of whatever version; None for what is none, or is only read for the sake of old ones."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", CryptographyDeprecationWarning)
        try:
            return x509.load_pem_x509_certificate(data)
        except (ValueError, CryptographyDeprecationWarning):
            return None


def common_name(certificate: x509.Certificate) -> str:
    """Return the common name of a certificate; empty if it has none, or several."""
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if len(found) == 1 else ""


def _no_roots(cloud: Literal["aws", "azure"], problem: str) -> Unavailable:
    if cloud == "aws":
        return Unavailable(
            "AUTH-JOIN-ROOTS", cloud="AWS", problem=problem,
            why="AWS publishes the certificates of its regions in its documentation alone, and they are not built in",
            fix=f"put the RSA-2048 certificates of your regions, from {_PUBLISHED}, into a file, set {AWS_FILE} to its "
            "path in the environment of the Auth Service, and restart it",
        )  # fmt: skip
    return Unavailable(
        "AUTH-JOIN-ROOTS", cloud="Azure", problem=problem,
        why="the roots of Azure are among the public ones of the system",
        fix=f"install the package ca-certificates, or name a file with the roots in {AZURE_FILE}",
    )  # fmt: skip
