"""What the command line of `tbot start` and `tbot configure` says, and what becomes of it beside a file.

Here: the options that both have, in the form for one output (`legacy`) and in that of each type of service; reading the
file; merging. The command line wins over the file, and the variables of the environment count as command line.

    @legacy("start")
    def start(given: Given) -> None: ...

    @command("start", "identity")
    def identity(given: Given) -> None: ...
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import click

from teleport.base import log
from teleport.base.disk import SystemDisk
from teleport.base.errors import BadParameter, NotSupported
from teleport.cli.tbot import merging
from teleport.cli.tbot.types import TYPES
from teleport.model.config import tbot_yaml
from teleport.model.config.section import Warned, summed
from teleport.model.config.tbot_destinations import DirectoryDestination
from teleport.model.config.tbot_services import LATER, IdentityOutput, ServiceEntry
from teleport.model.config.tbot_yaml import TbotYaml

Serve = Callable[..., Any]
Options = tuple[Callable[[Any], Any], ...]

CONFIG = click.option("-c", "--config", "config", default="", envvar="TBOT_CONFIG_PATH", metavar="FILE",
                      help="Configuration [TBOT_CONFIG_PATH].")  # fmt: skip
SHARED: Options = (
    CONFIG,
    click.option("-d", "--debug", is_flag=True, envvar="TBOT_DEBUG", help="Log at level DEBUG [TBOT_DEBUG]."),
    click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True,
                 help="Form of a line of the log."),
    click.option("-a", "--auth-server", default="", envvar="TELEPORT_AUTH_SERVER", metavar="HOST:PORT",
                 help="Auth Service of the cluster [TELEPORT_AUTH_SERVER]."),
    click.option("--proxy-server", default="", envvar="TELEPORT_PROXY", metavar="HOST:PORT",
                 help="Proxy of the cluster [TELEPORT_PROXY]."),
    click.option("--token", default="", envvar="TELEPORT_BOT_TOKEN",
                 help="Token to join with, or better the absolute path of a file with it: every user of this machine "
                 "can read what stands on a command line [TELEPORT_BOT_TOKEN]."),
    click.option("--join-method", default="", help="How the bot proves who it is [token]."),
    click.option("--ca-pin", "ca_pins", multiple=True, metavar="PIN", help="Hash of the Auth Service's authority."),
    click.option("--registration-secret", default="", help="Secret of a bound keypair."),
    click.option("--registration-secret-path", default="", metavar="FILE", help="File with that secret."),
    click.option("--static-key-path", default="", metavar="FILE", help="Key of a bound keypair that stays as it is."),
    click.option("--certificate-ttl", "--credential-ttl", "credential_ttl", default="", metavar="1h",
                 help="How long certificates are valid."),
    click.option("--renewal-interval", default="", metavar="20m", help="How often they are renewed."),
    click.option("--oneshot", is_flag=True, help="Renew once and end."),
    click.option("--insecure", is_flag=True, help="Believe the proxy whatever certificate it has. For tests alone."),
    click.option("--fips", is_flag=True, hidden=True),
    click.option("--diag-addr", default="", metavar="HOST:PORT", help="Address for /readyz, /livez and /metrics."),
    click.option("--storage", "--data-dir", "storage", default="", metavar="URI",
                 help=f"Where the bot's own identity is kept [{tbot_yaml.DEFAULT_STORAGE}]."),
    click.option("--pid-file", default="", metavar="FILE", help="Write the process id there."),
)  # fmt: skip
LEGACY: Options = (
    click.option("--destination-dir", default="", metavar="FOLDER", help="Where the certificates of one output go."),
)


class Given(NamedTuple):
    """What a command has to do: the file, with what the command line says over it."""

    config: TbotYaml
    warnings: tuple[Warned, ...]
    """What people should know; to be logged or printed."""
    overrides: tuple[merging.Override, ...]
    """Values of the file that the command line replaces; to be told as `merging.MESSAGE` with the fields of each."""
    log_format: str


def legacy(word: str, *extra: Callable[[Any], Any]) -> Callable[[Serve], click.Command]:
    """Make the command of the form that has one identity output. The function receives `given`, a `Given`, and what the
    options `extra` say. Its docstring is the help."""

    def made(function: Serve) -> click.Command:
        @functools.wraps(function)
        def called(kind: str, destination_dir: str, **flags: Any) -> Any:
            if kind != "legacy":
                raise _unknown(kind)
            service = (
                IdentityOutput(destination=DirectoryDestination(path=destination_dir)) if destination_dir else None
            )
            return _call(function, flags, service, replace=True)

        options = (click.argument("kind", metavar="[TYPE]", default="legacy"), *LEGACY, *SHARED, *extra)
        return _decorated(word, called, options)

    return made


def command(word: str, kind: str, *extra: Callable[[Any], Any]) -> Callable[[Serve], click.Command]:
    """Make the command `word kind` for one type of service; the function is as `legacy` describes it."""
    own = TYPES[kind]

    def made(function: Serve) -> click.Command:
        @functools.wraps(function)
        def called(**flags: Any) -> Any:
            mine = {name: flags.pop(name) for name in own.names}
            return _call(function, flags, own.make(mine), replace=False)

        return _decorated(f"{word} {kind}", called, (*own.options, *SHARED, *extra))

    return made


def _decorated(name: str, function: Serve, options: Options) -> click.Command:
    for option in reversed(options):
        function = option(function)
    return click.command(name)(function)


def _call(serve: Serve, flags: dict[str, Any], service: ServiceEntry | None, *, replace: bool) -> Any:
    log_format = flags.pop("log_format")
    if flags.pop("fips"):
        raise NotSupported("CONFIG-NOT-SUPPORTED", key="--fips", supported="leaving it out")
    said = {name: flags.pop(name) for name in merging.NAMES}
    said["debug"] = said["debug"] or log.get_level() == "DEBUG"
    path = flags.pop("config")
    loaded = read(path) if path else tbot_yaml.Loaded(TbotYaml(), (), "v2")
    given = merged(loaded, said, service, replace=replace)
    if not (given.config.auth_server or given.config.proxy_server):
        raise BadParameter("BOT-NO-SERVER")
    return serve(given=given._replace(log_format=log_format), **flags)


def read(path: str) -> tbot_yaml.Loaded:
    """Read a file of this machine. Raises what `tbot_yaml.read` raises, and DISK-*."""
    text = SystemDisk().read(os.path.abspath(path))
    return tbot_yaml.read(text.decode(errors="replace"), path)


def merged(
    loaded: tbot_yaml.Loaded, flags: Mapping[str, Any], service: ServiceEntry | None = None, *, replace: bool = True
) -> Given:
    """Return the file with the flags (`merging.NAMES`) and one more service over it; with `replace`, in the place of
    those in the file.

    Raises BadParameter or NotSupported where both together are wrong.
    """
    config, overrides = merging.merge(loaded.config, flags, service, replace=replace)
    if errors := [fault.error for fault in config.faults()]:
        raise summed("the command line", [], errors, "TBOT-LINE")
    own = [each for each in loaded.warnings if each.code == "TBOT-DEPRECATED"]
    return Given(config, (*own, *config.warnings), overrides, "text")


def _unknown(kind: str) -> BadParameter | NotSupported:
    known = ", ".join(TYPES)
    if kind in LATER:
        return NotSupported("CONFIG-NOT-SUPPORTED", key=f"the service type {kind}", supported=known)
    return BadParameter("TBOT-NOT-LEGACY", type=ascii(kind[:60])[1:-1], known=known)
