"""Identity file: everything a program needs to act as somebody, in one file, for `-i`/`--identity`.

In this order, each part as other tools write it too: private key (PKCS #8, PEM), SSH certificate (one line),
X.509 certificate (PEM), `@cert-authority` lines of the host authorities, their certificates (PEM). One key for
SSH and TLS. Whoever can read the file can act as its owner until the certificates end.

Quick to import: `ssh` starts `tbot` with such a file for every connection. What reads certificates is imported where
they are read.
"""

from __future__ import annotations

import os.path

from teleport.base.disk import Disk, MemoryDisk
from teleport.base.errors import BadParameter, TeleportError
from teleport.base.lean import TYPE_CHECKING, Iterator, NamedTuple, Sequence, contextmanager, dt
from teleport.client import known_hosts
from teleport.client.profile import Home, Profile

if TYPE_CHECKING:
    from teleport.model.identity import Identity
    from teleport.pki.ssh import SSHCertificate

MAX_FILE = 1 << 20
"""Bytes that an identity file may have."""
_BEGIN, _END = "-----BEGIN ", "-----END "
_AUTHORITY = "@cert-authority "
_ROOT = "/identity"
_UNREAD, _NEVER = "unread", dt.datetime(9999, 12, 31, tzinfo=dt.timezone.utc)


NAME = "identity"
"""Of the identity file that `tbot` writes into a destination."""
_BESIDE = ("key", "key-cert.pub", "tlscert")
"""What else it writes there."""


class IdentityFile(NamedTuple):
    """The parts of an identity file."""

    key: str
    """Private key, PEM."""
    ssh_certificate: str
    """One line, as in `-cert.pub` files."""
    tls_certificate: str
    """PEM."""
    ssh_authorities: tuple[str, ...]
    """Keys that vouch for hosts, as in public key files."""
    tls_authorities: str
    """Certificates that vouch for services, PEM."""


def write(parts: IdentityFile, cluster: str) -> bytes:
    """Return the content of the file."""
    lines = known_hosts.lines("", cluster, parts.ssh_authorities)
    texts = (parts.key, parts.ssh_certificate, parts.tls_certificate, *lines, parts.tls_authorities)
    return "".join(text if text.endswith("\n") else f"{text}\n" for text in texts).encode()


def parse(data: bytes, path: str) -> IdentityFile:
    """Take a file apart; nothing is decoded yet. `path` is for errors. Raises BadParameter (CLIENT-IDENTITY)."""
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        raise _bad(path, "it is not text") from None
    blocks, lines = _split(text, path)
    found = [block for block in blocks if "PRIVATE KEY-----" in block.partition("\n")[0]]
    certificates = [block for block in blocks if block.startswith("-----BEGIN CERTIFICATE-----")]
    authorities = [line.split() for line in lines if line.startswith(_AUTHORITY)]
    ssh_certificates = [line for line in lines if "-cert-v01@openssh.com " in line]
    for what, count in (("private key", len(found)), ("SSH certificate", len(ssh_certificates))):
        if count != 1:
            raise _bad(path, f"it has {count or 'no'} {what}{'s' if count else ''}, and needs one")
    if len(certificates) < 2 or not authorities or any(len(words) < 4 for words in authorities):
        raise _bad(path, "the X.509 certificate or the authorities of the cluster are missing")
    return IdentityFile(
        key=found[0], ssh_certificate=ssh_certificates[0], tls_certificate=certificates[0],
        ssh_authorities=tuple(f"{words[2]} {words[3]}" for words in authorities),
        tls_authorities="".join(certificates[1:]),
    )  # fmt: skip


def _split(text: str, path: str) -> tuple[list[str], list[str]]:
    """Return the PEM blocks and the lines between them."""
    blocks: list[str] = []
    lines: list[str] = []
    block = ""
    for line in text.splitlines():
        if block or line.startswith(_BEGIN):
            block += f"{line}\n"
            if line.startswith(_END):
                blocks.append(block)
                block = ""
        else:
            lines.append(line)
    if block:
        raise _bad(path, "its last part has no end")
    return blocks, lines


def open_home(parts: IdentityFile, path: str, address: str) -> tuple[Home, Profile]:
    """Return a home in memory with one profile: what `tsh login` at `address` would have left on disk.

    Raises BadParameter (CLIENT-IDENTITY) when the parts do not belong together. Validity is not looked at.
    """
    from teleport.pki import keys, ssh, x509

    try:
        certificate = ssh.parse(keys.load_ssh_line(parts.ssh_certificate))
        identity = _identity(parts, certificate, path)
        for line in parts.ssh_authorities:
            keys.load_ssh_blob(keys.load_ssh_line(line))
        bundle = "".join(x509.pem(each) for each in x509.split_pem(parts.tls_authorities))
    except TeleportError as error:
        if error.code == "CLIENT-IDENTITY":
            raise
        raise _bad(path, str(error)) from None
    profile = Profile(
        web_proxy_addr=address, user=identity.name, cluster=identity.cluster, roles=identity.roles,
        logins=identity.logins, traits=identity.traits, extensions=tuple(sorted(certificate.extensions)),
        critical_options=dict(certificate.critical_options), valid_until=identity.expires,
    )  # fmt: skip
    home = _stored(profile, parts, bundle)
    home.save(profile)
    return home, profile


def open_unread(parts: IdentityFile, address: str, cluster: str) -> tuple[Home, Profile]:
    """As `open_home`, at once: nothing is decoded, and the profile knows neither logins nor the end. The connection
    shows whether the parts are of any use, and `open_home` says why not."""
    profile = Profile(web_proxy_addr=address, user=_UNREAD, cluster=cluster, valid_until=_NEVER)
    return _stored(profile, parts, parts.tls_authorities), profile


def _identity(parts: IdentityFile, certificate: SSHCertificate, path: str) -> Identity:
    from teleport.pki import codec, keys, x509

    tls_certificate = x509.parse(parts.tls_certificate.encode())
    identity, private = codec.from_ssh(certificate), keys.load_private(parts.key.encode())
    if identity != codec.from_x509(tls_certificate):
        raise _bad(path, "its two certificates name different identities")
    if (certificate.key, tls_certificate.public_key()) != (keys.ssh_blob(private.public_key()), private.public_key()):
        raise _bad(path, "its certificates are not for its private key")
    if identity.is_host:
        raise _bad(path, f"it is the identity of the host {identity.name}, not of a user")
    return identity


def _stored(profile: Profile, parts: IdentityFile, bundle: str) -> Home:
    home = Home(_ROOT, MemoryDisk())
    files, disk = home.files(profile), home.disk
    content = {
        files.ssh_key: parts.key, files.tls_key: parts.key, files.ssh_certificate: f"{parts.ssh_certificate}\n",
        files.tls_certificate: parts.tls_certificate, files.authorities: bundle, files.cluster_authorities: bundle,
        files.own_known_hosts: "".join(f"{line}\n" for line in host_lines(parts, profile)),
    }  # fmt: skip
    for name, text in content.items():
        disk.make_dir(name.rpartition("/")[0])
        disk.write(name, text.encode())
    return home


def host_lines(parts: IdentityFile, profile: Profile) -> Sequence[str]:
    """Return the lines of `known_hosts` that let the authorities vouch for the hosts of the cluster."""
    return known_hosts.lines(profile.proxy_host, profile.cluster, parts.ssh_authorities)


def is_of_tbot(disk: Disk, path: str) -> bool:
    """Whether `tbot` writes the file: its neighbours are those of an output, and their certificate names a bot. One
    that cannot be read is as damaged as the file may be, and does not speak against it."""
    from teleport.pki import codec, x509

    folder, name = os.path.split(path)
    if name != NAME or not all(disk.exists(os.path.join(folder, each)) for each in _BESIDE):
        return False
    try:
        certificate = x509.parse(disk.read(os.path.join(folder, "tlscert"), limit=MAX_FILE))
        return bool(codec.from_x509(certificate).bot_name)
    except TeleportError:
        return True


@contextmanager
def read_from(disk: Disk, path: str) -> Iterator[None]:
    """Say of a file that cannot be used, if `tbot` writes it, that `tbot` mends it. Raises BadParameter
    (CLIENT-OUTPUT-DAMAGED) and what the block raises."""
    try:
        yield
    except BadParameter as error:
        if error.code != "CLIENT-IDENTITY" or not is_of_tbot(disk, path):
            raise
        raise BadParameter("CLIENT-OUTPUT-DAMAGED", **error.fields) from None


def _bad(path: str, problem: str) -> BadParameter:
    return BadParameter("CLIENT-IDENTITY", path=path, problem=problem)
