"""tbot keypair: a key of this machine's own, made before the token that is bound to it."""

from __future__ import annotations

import base64
import os

import click

from teleport.base.disk import Disk, SystemDisk
from teleport.base.entropy import Entropy, SystemEntropy
from teleport.base.errors import BadParameter
from teleport.cli.common import format_option, show
from teleport.model.config.tbot_yaml import DEFAULT_STORAGE

_DOCUMENT = """\
kind: token
version: v2
metadata: {{name: NAME}}
spec:
  roles: [Bot]
  bot_name: BOT
  join_method: bound_keypair
  bound_keypair:
    onboarding: {{initial_public_key: "{key}"}}
    recovery: {{mode: {mode}}}
"""


@click.command("keypair create")
@click.option("--proxy-server", required=True, metavar="HOST:PORT", help="Proxy at which the bot will join.")
@click.option("--storage", default=DEFAULT_STORAGE, show_default=True, metavar="URI",
              help="Folder of the bot, which keeps the key.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace a key that is there.")
@click.option("--static", is_flag=True, help="Make a key that stays as it is, and keep it nowhere but where you say.")
@click.option("--static-key-path", default="", metavar="FILE", help="Write such a key into this file.")
@format_option
def create(
    proxy_server: str, storage: str, overwrite: bool, static: bool, static_key_path: str, output_format: str
) -> None:  # fmt: skip
    """Make a key for the join method bound_keypair, and print the public one. One that is there is printed again.

    \b
    tbot keypair create --proxy-server=teleport.example.com:443 --storage=/var/lib/teleport/bot
    """
    disk, entropy = SystemDisk(), SystemEntropy()
    private = b""
    if static or static_key_path:
        private = _static(disk, entropy, os.path.abspath(static_key_path) if static_key_path else "", overwrite)
        public = _public(private)
    else:
        public = _kept(disk, entropy, _folder(storage), overwrite)
    secret = base64.b64encode(private).decode() if private and not static_key_path else ""
    if output_format != "text":
        show({"public_key": public, **({"private_key": secret} if secret else {})}, output_format)
        return
    _tell(public, secret, proxy_server, static_key_path, "" if private else storage)


def _kept(disk: Disk, entropy: Entropy, folder: str, overwrite: bool) -> str:
    """Return the public key that a bot's folder has, made if there is none."""
    from teleport.client.joining.bound_keypair import BoundKeypairMethod

    method = BoundKeypairMethod(disk, folder, entropy)
    known = "" if overwrite else method.public_key()
    if known:
        click.echo("The key was there already; --overwrite replaces it.", err=True)
    return known or method.create()


def _static(disk: Disk, entropy: Entropy, path: str, overwrite: bool) -> bytes:
    """Return a private key (PEM): that of the file, made if there is none; without a file, a new one."""
    from teleport.pki import keys

    if path and not overwrite and disk.exists(path):
        click.echo("The key was there already; --overwrite replaces it.", err=True)
        return disk.read(path, private=True)
    made = keys.private_pem(keys.make_ed25519(entropy))
    if path:
        disk.write(path, made)
    return made


def _public(private: bytes) -> str:
    from teleport.client.joining.bound_keypair import public_line, static_key

    return public_line(static_key(base64.b64encode(private).decode()))


def _folder(storage: str) -> str:
    """Return the folder that a storage means. Raises BadParameter (BOT-KEYPAIR-STORAGE)."""
    scheme, separator, path = storage.partition("://")
    if separator and (scheme != "file" or not path.startswith("/")):
        raise BadParameter("BOT-KEYPAIR-STORAGE", storage=ascii(storage[:80])[1:-1])
    return os.path.abspath(path if separator else storage)


def _tell(public: str, secret: str, proxy: str, path: str, storage: str) -> None:
    """Say what the key is, and how a bot joins with it."""
    click.echo(f"Public key:\n\n  {public}\n")
    if secret:
        click.echo(f"Private key, for the variable TBOT_BOUND_KEYPAIR_STATIC_KEY:\n\n  {secret}\n")
    click.echo("A token that is bound to it, for `tctl create`:\n")
    for line in _DOCUMENT.format(key=public, mode="standard" if storage else "insecure").splitlines():
        click.echo(f"  {line}")
    kept = f"--storage={storage}" if storage else f"--static-key-path={path}" if path else ""
    words = ["--token=NAME", "--join-method=bound_keypair", f"--proxy-server={proxy}", kept, "--destination=FOLDER"]
    click.echo(f"\nThen start the bot:\n\n  tbot start identity {' '.join(word for word in words if word)}")
