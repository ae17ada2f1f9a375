"""Signing in: new keys, a password and a code against certificates, and files under `~/.tsh`.

The private keys are made here and never leave this machine.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from teleport.base.entropy import Entropy
from teleport.base.errors import BadParameter
from teleport.client import known_hosts, putty
from teleport.client.profile import Files, Home, Profile
from teleport.client.second_factor import exchange
from teleport.client.web_api import WebApi
from teleport.model.naming import is_cluster_name
from teleport.pki import codec, keys, ssh, x509


class HostSigner(msgspec.Struct, frozen=True):
    """Who vouches for the hosts of a cluster. Fields of newer proxies are passed over."""

    domain_name: str
    checking_keys: tuple[str, ...]
    tls_certs: tuple[str, ...]


class Answer(msgspec.Struct, frozen=True):
    """What the proxy answers to a sign-in."""

    cert: str
    tls_cert: str
    host_signers: tuple[HostSigner, ...]


@dataclass(frozen=True)
class KeyPairs:
    """The private keys of one sign-in."""

    ssh: keys.PrivateKey
    tls: keys.PrivateKey


def sign_in(
    home: Home,
    proxy: WebApi,
    settings: Mapping[str, Any],
    *,
    user: str,
    password: str,
    code: Callable[[], str] = str,
    ttl_minutes: int = 0,
    keep: Callable[[Profile, bytes, str], None] | None = None,
    upgraded: bool = False,
    entropy: Entropy,
) -> Profile:
    """Sign in and store the result as the current profile. `code` is asked if the cluster wants a second factor.
    `keep` takes the SSH key (a file of OpenSSH) and its certificate (a line); the key is not written to the disk then.
    `upgraded`: see `Profile`.

    Raises the proxy's error, or BadParameter (CLIENT-ANSWER, CLIENT-PROXY-NAME, PKI-*) when its answer is
    not what was asked for; nothing is stored then.
    """
    made = KeyPairs(keys.make_ed25519(entropy), keys.make_p256(entropy))
    request = {
        "user": user,
        "password": password,
        "ssh_pub_key": keys.ssh_line(keys.ssh_blob(made.ssh.public_key())),
        "tls_pub_key": keys.public_pem(made.tls.public_key()),
        "ttl": f"{ttl_minutes}m" if ttl_minutes else "0",
    }
    answer = exchange(proxy, settings, request, code)
    try:
        granted = msgspec.convert(answer, Answer)
        cluster, signer = str(settings["cluster_name"]), granted.host_signers[0]
    except (msgspec.ValidationError, LookupError) as problem:
        raise BadParameter("CLIENT-ANSWER", problem=f"a part is missing: {problem}") from None
    certificate = _check(granted, made, cluster)
    identity = codec.from_ssh(certificate)
    profile = Profile(
        web_proxy_addr=proxy.address,
        user=identity.name,
        cluster=cluster,
        roles=identity.roles,
        logins=identity.logins,
        traits=identity.traits,
        extensions=tuple(sorted(certificate.extensions)),
        critical_options=dict(certificate.critical_options),
        valid_until=identity.expires,
        proxy_version=str(settings.get("server_version", ""))[:40],
        upgraded=upgraded,
    )
    files = home.files(profile)
    bundle = _authorities(signer)
    host_lines = known_hosts.lines(profile.proxy_host, cluster, signer.checking_keys)
    if keep is not None:
        keep(profile, keys.private_openssh(made.ssh), certificate.line())
    _store(home, files, made, certificate.line(), x509.pem(granted.tls_cert.encode()), with_key=keep is None)
    _trust(home, files, cluster, bundle, host_lines)
    home.save(profile)
    return profile


def _check(granted: Answer, made: KeyPairs, cluster: str) -> ssh.SSHCertificate:
    """Return the SSH certificate if both are for our keys and of the cluster that the proxy says it is of."""
    certificate = ssh.parse(keys.load_ssh_line(granted.cert))
    tls_certificate = x509.parse(granted.tls_cert.encode())
    identities = (codec.from_ssh(certificate), codec.from_x509(tls_certificate))
    own = (keys.ssh_blob(made.ssh.public_key()), made.tls.public_key())
    if (certificate.key, tls_certificate.public_key()) != own:
        raise BadParameter("CLIENT-ANSWER", problem="the certificates are not for the keys that were sent")
    names = {cluster, granted.host_signers[0].domain_name, *(identity.cluster for identity in identities)}
    if not is_cluster_name(cluster) or len(names) > 1 or identities[0].name != identities[1].name:
        raise BadParameter("CLIENT-ANSWER", problem="its parts name different users or clusters")
    return certificate


def _authorities(signer: HostSigner) -> bytes:
    """Return the host authorities as one PEM file, checked."""
    for line in signer.checking_keys:
        keys.load_ssh_blob(keys.load_ssh_line(line))
    bundle = "".join(text if text.endswith("\n") else f"{text}\n" for text in signer.tls_certs)
    found = x509.split_pem(bundle)
    if not found or not signer.checking_keys:
        raise BadParameter("CLIENT-ANSWER", problem="nobody vouches for the hosts of the cluster")
    return "".join(x509.pem(certificate) for certificate in found).encode()


def _store(home: Home, files: Files, made: KeyPairs, certificate: str, tls_certificate: str, *, with_key: bool) -> None:
    disk = home.disk
    for folder in (home.root, f"{home.root}/keys", files.folder, os.path.dirname(files.ssh_certificate)):
        disk.make_dir(folder, mode=0o700)
    public = keys.ssh_line(keys.ssh_blob(made.ssh.public_key()))
    disk.write(files.ssh_public_key, public.encode() + b"\n", mode=0o600)
    disk.write(files.ssh_certificate, certificate.encode() + b"\n", mode=0o600)
    own = {
        files.ssh_key: keys.private_openssh(made.ssh),
        files.putty_key: putty.key_file(made.ssh, certificate, os.path.basename(files.ssh_key)),
    }
    for path, data in own.items():
        if with_key:
            disk.write(path, data, mode=0o600)
        elif disk.exists(path):  # an earlier sign-in's
            disk.remove(path)
    disk.write(files.tls_key, keys.private_pem(made.tls), mode=0o600)
    disk.write(files.tls_certificate, tls_certificate.encode(), mode=0o600)


def _trust(home: Home, files: Files, cluster: str, bundle: bytes, host_lines: list[str]) -> None:
    """Keep the authorities of the cluster: as PEM for TLS and as `@cert-authority` lines for SSH."""
    home.disk.make_dir(os.path.dirname(files.cluster_authorities), mode=0o700)
    home.disk.write(files.authorities, bundle, mode=0o600)
    home.disk.write(files.cluster_authorities, bundle, mode=0o600)
    for path in (files.known_hosts, files.own_known_hosts):
        known_hosts.replace(home.disk, path, cluster, host_lines)
