"""tctl auth export: the public half of authorities, in the forms that other programs read."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NamedTuple

import click

from teleport.api.client import AuthClient
from teleport.base.errors import BadParameter, NotFound
from teleport.cli.tctl.session import Where, call, collect, where_options
from teleport.model.kinds.cert_authority import CertAuthority
from teleport.pki import keys, x509


class Export(NamedTuple):
    """What is printed of which authority."""

    authority: str
    form: str
    """ssh-user, ssh-host, pem, der or key."""


EXPORTS = {
    "user": Export("user", "ssh-user"),
    "host": Export("host", "ssh-host"),
    "tls-host": Export("host", "pem"),
    "tls-user": Export("user", "pem"),
    "tls-user-der": Export("user", "der"),
    "windows": Export("user", "der"),
    "tls-spiffe": Export("spiffe", "pem"),
    "db": Export("db", "pem"),
    "db-der": Export("db", "der"),
    "db-client": Export("db_client", "pem"),
    "db-client-der": Export("db_client", "der"),
    "openssh": Export("openssh", "ssh-user"),
    "saml-idp": Export("saml_idp", "pem"),
    "audit": Export("audit", "key"),
}
"""The values of --type."""
_BOTH = ("host", "user")


@click.command("auth export")
@click.option("--type", "kind", type=click.Choice(list(EXPORTS)), help="What to export [host and user, for SSH].")
@click.option("--fingerprint", default="", help="Only the key with this SHA256:... or, of certificates, sha256:... .")
@click.option("--keys", "with_keys", is_flag=True, help="Not possible: private keys stay in the signer process.")
@where_options
def export(kind: str | None, fingerprint: str, with_keys: bool, where: Where) -> None:
    """Print the public keys or certificates of the cluster's authorities.

    \b
    tctl auth export --type=user >> /etc/ssh/teleport_user_ca.pub
    tctl auth export --type=host >> ~/.ssh/known_hosts
    tctl auth export --type=tls-host > cluster-ca.pem
    """
    if with_keys:
        raise BadParameter("CLI-EXPORT-KEYS")
    wanted = [EXPORTS[name] for name in ([kind] if kind else _BOTH)]
    if wanted[0].form == "der" and sys.stdout.isatty():
        raise BadParameter("CLI-BINARY", command=f"tctl auth export --type={kind}", example=f"{kind}.der")

    async def ask(client: AuthClient) -> tuple[str, list[CertAuthority]]:
        found = await collect(client.list(CertAuthority.info.name))
        return (await client.ping())[0], [entry for entry in found if isinstance(entry, CertAuthority)]

    cluster, every = call(where, ask)
    own = [entry for entry in every if entry.name == cluster]
    found = [entry for export in wanted for entry in _chosen(export, own, fingerprint)]
    if not found:
        raise NotFound("CLI-EXPORT-NONE", type=kind or "host or user", fingerprint=fingerprint or "any")
    for entry in found:
        if isinstance(entry, str):
            click.echo(entry, nl=False)
        else:
            sys.stdout.buffer.write(entry)


def _chosen(wanted: Export, authorities: Sequence[CertAuthority], fingerprint: str) -> list[str | bytes]:
    """Return what is to be printed of each key: text, or DER."""
    found: list[str | bytes] = []
    for entry in authorities:
        if entry.spec.type != wanted.authority:
            continue
        if wanted.form == "key":
            found += [key.public_key for key in entry.trusted_audit()]
        elif wanted.form.startswith("ssh"):
            found += [
                f"{_ssh_line(wanted, entry.name, key.public_key)}\n"
                for key in entry.trusted_ssh()
                if fingerprint in ("", keys.fingerprint(keys.load_ssh_line(key.public_key)))
            ]
        else:
            der = [data for key in entry.trusted_tls() for data in x509.split_pem(key.cert)]
            chosen = [data for data in der if fingerprint in ("", x509.pin(data))]
            found += chosen if wanted.form == "der" else [x509.pem(data) for data in chosen]
    return found


def _ssh_line(wanted: Export, cluster: str, public_key: str) -> str:
    """Write a line of `authorized_keys` (user) or `known_hosts` (host), sshd(8)."""
    key = " ".join(public_key.split()[:2])
    mark = f"type={wanted.authority}&clustername={cluster}"
    return f"@cert-authority *.{cluster} {key} {mark}" if wanted.form == "ssh-host" else f"cert-authority {key} {mark}"
