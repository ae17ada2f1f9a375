"""Signing in: new keys, a password against certificates, and files under `~/.tsh`.

The private keys are made here and never leave this machine.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from teleport.base.entropy import Entropy
from teleport.base.errors import BadParameter
from teleport.client.profile import Files, Home, Profile
from teleport.client.web_api import WebApi
from teleport.pki import codec, keys, ssh, x509


def sign_in(
    home: Home,
    proxy: WebApi,
    settings: Mapping[str, Any],
    *,
    user: str,
    password: str,
    ttl_minutes: int = 0,
    entropy: Entropy,
) -> Profile:
    """Sign in with a password and store the result as the current profile.

    Raises the proxy's error, or BadParameter (CLIENT-ANSWER) when its answer is not what was asked for.
    """
    ssh_key, tls_key = keys.make_ed25519(entropy), keys.make_p256(entropy)
    ssh_blob = keys.ssh_blob(ssh_key.public_key())
    answer = proxy.post(
        "/webapi/ssh/certs",
        {
            "user": user,
            "password": password,
            "ssh_pub_key": keys.ssh_line(ssh_blob),
            "tls_pub_key": keys.public_pem(tls_key.public_key()),
            "ttl": f"{ttl_minutes}m" if ttl_minutes else "0",
        },
    )
    try:
        certificate_line, tls_certificate = str(answer["cert"]), str(answer["tls_cert"])
        signer = answer["host_signers"][0]
        certificate = ssh.parse(keys.load_ssh_line(certificate_line))
        identity = codec.from_ssh(certificate)
        tls_identity = codec.from_x509(x509.parse(tls_certificate.encode()))
        if certificate.key != ssh_blob or tls_identity.name != identity.name:
            raise BadParameter("CLIENT-ANSWER", problem="the certificates are not for the keys that were sent")
    except (KeyError, IndexError, TypeError) as problem:
        raise BadParameter("CLIENT-ANSWER", problem=f"missing {problem}") from None
    profile = Profile(
        web_proxy_addr=proxy.address,
        user=identity.name,
        cluster=str(settings["cluster_name"]),
        roles=identity.roles,
        logins=identity.logins,
        traits=identity.traits,
        extensions=tuple(sorted(certificate.extensions)),
        valid_until=identity.expires,
    )
    files = home.files(profile)
    _store(home, files, ssh_key, tls_key, certificate_line, tls_certificate)
    _trust(home, files, profile, signer)
    home.save(profile)
    return profile


def _store(
    home: Home,
    files: Files,
    ssh_key: keys.PrivateKey,
    tls_key: keys.PrivateKey,
    certificate: str,
    tls_certificate: str,
) -> None:
    disk = home.disk
    for folder in (home.root, f"{home.root}/keys", files.folder, os.path.dirname(files.ssh_certificate)):
        disk.make_dir(folder, mode=0o700)
    disk.write(files.ssh_key, keys.private_openssh(ssh_key), mode=0o600)
    disk.write(files.ssh_public_key, keys.ssh_line(keys.ssh_blob(ssh_key.public_key())).encode() + b"\n", mode=0o600)
    disk.write(files.ssh_certificate, certificate.strip().encode() + b"\n", mode=0o600)
    disk.write(files.tls_key, keys.private_pem(tls_key), mode=0o600)
    disk.write(files.tls_certificate, tls_certificate.encode(), mode=0o600)


def _trust(home: Home, files: Files, profile: Profile, signer: Mapping[str, Any]) -> None:
    """Keep the authorities of the cluster: as PEM for TLS and as `@cert-authority` lines for SSH."""
    disk = home.disk
    disk.make_dir(os.path.dirname(files.cluster_authorities), mode=0o700)
    bundle = "".join(pem if pem.endswith("\n") else pem + "\n" for pem in map(str, signer["tls_certs"])).encode()
    disk.write(files.authorities, bundle, mode=0o600)
    disk.write(files.cluster_authorities, bundle, mode=0o600)
    mark = f" type=host&clustername={profile.cluster}"
    old = disk.read(files.known_hosts, limit=1 << 20).decode() if disk.exists(files.known_hosts) else ""
    lines = [line for line in old.splitlines() if not line.endswith(mark)]
    hosts = f"{profile.proxy_host},{profile.cluster},*.{profile.cluster}"
    lines += [f"@cert-authority {hosts} {' '.join(str(key).split()[:2])}{mark}" for key in signer["checking_keys"]]
    disk.write(files.known_hosts, ("\n".join(lines) + "\n").encode(), mode=0o600)
