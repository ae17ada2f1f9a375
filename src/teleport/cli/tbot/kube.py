"""tbot kube credentials: what `kubectl` runs to get the certificate that an output holds at the moment."""

from __future__ import annotations

import os

import click

from teleport.base.clock import Clock, SystemClock
from teleport.base.disk import Disk, SystemDisk
from teleport.base.errors import NotAuthenticated

VARIABLE = "KUBERNETES_EXEC_INFO"


@click.command("kube credentials")
@click.option("--destination-dir", "folder", required=True, metavar="DIR", help="Folder of a kubernetes output.")
def credentials(folder: str) -> None:
    """Print the certificate of a kubernetes output for kubectl.

    \b
    tbot kube credentials --destination-dir=/opt/machine-id
    kubeconfig.yaml of the output names this command; nobody needs to type it.
    """
    click.echo(answer(SystemDisk(), SystemClock(), os.path.abspath(folder), os.environ.get(VARIABLE, "")))


def answer(disk: Disk, clock: Clock, folder: str, asked: str) -> str:
    """Return what `kubectl` reads. `asked` is the value of KUBERNETES_EXEC_INFO.

    All of it comes from the one file `identity`, which is replaced as a whole: key and certificate always fit. Raises
    NotAuthenticated (KUBE-EXPIRED), BadParameter (CLIENT-KUBE-EXEC-INFO, CLIENT-IDENTITY), NotFound
    (CLIENT-DESTINATION), DISK-*.
    """
    from teleport.client import kubeconfig, output_folder
    from teleport.pki import x509

    version = kubeconfig.wanted_version(asked)
    parts = output_folder.read(disk, folder, "", "", kind="kubernetes").parts
    expires = x509.parse(parts.tls_certificate.encode()).not_valid_after_utc
    if expires <= clock.now():
        raise NotAuthenticated("KUBE-EXPIRED", folder=folder, until=expires.isoformat())
    user = kubeconfig.Embedded(certificate=parts.tls_certificate, key=parts.key)
    return kubeconfig.exec_credential(version, user, expires)
