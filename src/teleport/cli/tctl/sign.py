"""tctl auth sign: certificates for a user or a host that does not sign in.

The private key is made here and never leaves this machine. Whether the certificates may be had is decided by
the auth service, as for every other call.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import click

from teleport.api.client import AuthClient
from teleport.api.messages import DatabaseRequest, HostRequest, MadeCertificates, UserRequest
from teleport.base.clock import SystemClock
from teleport.base.disk import Disk, SystemDisk
from teleport.base.entropy import SystemEntropy, new_uuid
from teleport.base.errors import AlreadyExists, BadParameter, NotSupported
from teleport.base.struct import Duration
from teleport.cli.tctl.session import Where, call, where_options
from teleport.client import identity_file
from teleport.client.identity_file import IdentityFile
from teleport.pki import codec, keys, x509

DATABASE = ("db", "redis", "mongodb")
"""Formats of certificates for a database itself."""
SERVED = ("file", "openssh", "tls", *DATABASE)
LATER = ("kubernetes", "cockroach", "snowflake", "cassandra", "scylla", "elasticsearch", "oracle", "windows")
"""Formats that are known and refused: what they are for is not part of this build."""
_SLACK = dt.timedelta(minutes=5)


@click.command("auth sign")
@click.option("--user", default="", help="User to make certificates for.")
@click.option("--host", default="", metavar="NAME[,...]", help="Names of a host to make certificates for.")
@click.option("-o", "--out", required=True, metavar="FILE", help="File to write, or the beginning of file names.")
@click.option(
    "--format",
    "form",
    type=click.Choice([*SERVED, *LATER]),
    default="file",
    show_default=True,
    help="file: identity file for -i; openssh: key and certificate; tls: .key, .crt, .cas; of a database, for its "
    "--host: db, redis: .key, .crt, .cas; mongodb: .crt with the key, .cas.",
)
@click.option(
    "--ttl",
    default="",
    help="How long they are valid, at most what the roles allow [12h; hosts that are no databases: a year].",
)
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
@where_options
def sign(user: str, host: str, out: str, form: str, ttl: str, overwrite: bool, where: Where) -> None:
    """Make certificates for a user or a host that does not sign in.

    \b
    tctl auth sign --user=deploy --out=deploy.identity --ttl=8h
    tsh -i deploy.identity --proxy=teleport.example.com:443 ls
    tctl auth sign --host=build-1.example.com --format=openssh --out=/etc/ssh/build-1
    tctl auth sign --host=db.example.com --format=db --out=server --ttl=2190h
    Needs the right to `use` the user (local administrators have it); for a host it must run on the auth host.
    """
    names = [name.strip() for name in host.split(",") if name.strip()]
    if bool(user) == bool(names):
        raise BadParameter("CLI-SIGN-WHO")
    if form in DATABASE and not names:
        raise BadParameter("CLI-SIGN-DATABASE", format=form)
    if form not in SERVED:
        raise NotSupported("CLI-SIGN-FORMAT", format=form, known=", ".join(SERVED))
    disk = SystemDisk()
    _check_absent(disk, out, form, overwrite)
    key, asked = keys.make_p256(SystemEntropy()), float(Duration.parse(ttl)) if ttl else 0.0
    public = {
        "ssh_public_key": keys.ssh_line(keys.ssh_blob(key.public_key())),
        "tls_public_key": keys.public_pem(key.public_key()),
    }

    async def ask(client: AuthClient) -> MadeCertificates:
        if user:
            return await client.issue_user(UserRequest(user=user, ttl=asked, **public))
        if form in DATABASE:
            wanted = DatabaseRequest(hosts=tuple(names), tls_public_key=public["tls_public_key"], ttl=asked)
            return await client.issue_database(wanted)
        return await client.issue_host(
            HostRequest(
                host_uuid=new_uuid(SystemEntropy()), node_name=names[0], principals=tuple(names[1:]), roles=("Node",),
                ttl=asked, **public,  # type: ignore[arg-type]
            )
        )  # fmt: skip

    made = call(where, ask)
    for path, data in _files(_parts(key, made, form), key, out, form).items():
        disk.write(path, data, exclusive=not overwrite)
    _tell(user or host, out, form, made, asked)


def _check_absent(disk: Disk, out: str, form: str, overwrite: bool) -> None:
    """Look before certificates are asked for: what would be lost at the end should not be made."""
    for path in _paths(out, form):
        if not overwrite and disk.exists(path):
            raise AlreadyExists("CLI-SIGN-EXISTS", path=path)


def _paths(out: str, form: str) -> tuple[str, ...]:
    endings = {"file": ("",), "openssh": ("", "-cert.pub"), "mongodb": (".crt", ".cas")}
    return tuple(out + ending for ending in endings.get(form, (".key", ".crt", ".cas")))


def _parts(key: keys.PrivateKey, made: MadeCertificates, form: str) -> IdentityFile:
    """Return what is written. Who holds it trusts hosts of the cluster; a database trusts who comes to it."""
    wanted = "db_client" if form in DATABASE else "host"
    hosts = [authority for authority in made.authorities if authority.type == wanted]
    return IdentityFile(
        key=keys.private_pem(key).decode(), ssh_certificate=made.ssh_certificate.strip(),
        tls_certificate=made.tls_certificate,
        ssh_authorities=tuple(line for authority in hosts for line in authority.ssh_keys),
        tls_authorities="".join(text for authority in hosts for text in authority.tls_certificates),
    )  # fmt: skip


def _files(parts: IdentityFile, key: keys.PrivateKey, out: str, form: str) -> Mapping[str, bytes]:
    trusted = parts.tls_authorities.encode()
    if form == "file":
        cluster = codec.from_x509(x509.parse(parts.tls_certificate.encode())).cluster
        contents: tuple[bytes, ...] = (identity_file.write(parts, cluster),)
    elif form == "openssh":
        contents = (keys.private_openssh(key), f"{parts.ssh_certificate}\n".encode())
    elif form == "mongodb":
        contents = ((parts.tls_certificate + parts.key).encode(), trusted)
    else:
        contents = (parts.key.encode(), parts.tls_certificate.encode(), trusted)
    return dict(zip(_paths(out, form), contents, strict=True))


def _tell(name: str, out: str, form: str, made: MadeCertificates, asked: float) -> None:
    click.echo(f"The credentials of {name} have been written to: {', '.join(_paths(out, form))}")
    click.echo(f"They are valid until {made.expires:%Y-%m-%d %H:%M:%S} UTC; who has the files can act as {name}.")
    wished = SystemClock().now() + dt.timedelta(seconds=min(asked, 10 * 365 * 86400))
    if asked and made.expires < wished - _SLACK:
        click.echo("NOTE: that is earlier than --ttl asks for: the roles allow no longer.", err=True)
