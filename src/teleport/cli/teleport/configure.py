"""teleport configure: write a configuration to start from, or check one."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from teleport.base.disk import SystemDisk
from teleport.base.errors import AlreadyExists, BadParameter, NotSupported
from teleport.base.text import parse_labels
from teleport.model.address import parse_addr
from teleport.model.config import teleport_yaml
from teleport.process import preflight, settings

_PORT = 3080
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./@-]*(:[0-9]+)?|[0-9]+(\.[0-9]+){3}:[0-9]+|\*")
"""Texts that YAML reads as the same text without quotes."""
_WORDS = frozenset({"yes", "no", "on", "off", "true", "false", "null", "y", "n"})
_ROLES = ("auth", "proxy", "node", "app")

Tree = dict[str, Any]


@click.command("configure")
@click.option("-o", "--output", default=None, help="stdout, file, or file:///path [stdout].")
@click.option("--test", "test", default=None, metavar="FILE", help="Check a file instead.")
@click.option("--version", "version", type=click.Choice(teleport_yaml.VERSIONS), default="v3", show_default=True,
              help="Version of the format.")  # fmt: skip
@click.option("--cluster-name", default=None, help="Name of the cluster [host of --public-addr, or this host].")
@click.option("--public-addr", default=None, help="host:port under which people reach the proxy.")
@click.option("--data-dir", default="/var/lib/teleport", show_default=True, help="Where state is kept.")
@click.option("--node-name", default=None, help="Name of this server [name of this host].")
@click.option("--node-labels", default="", help="Labels of this server, as k=v,k2=v2.")
@click.option("--roles", default=None, help="Services to run: auth, proxy, node, app [auth,proxy,node].")
@click.option("--cert-file", default="", help="Certificate of the web address, PEM.")
@click.option("--key-file", default="", help="Its key, PEM.")
@click.option("--acme", is_flag=True, help="Get the certificate from Let's Encrypt.")
@click.option("--acme-email", default="", help="Address for messages about that certificate.")
@click.option("--token", default="", help="Token to join a cluster with.")
@click.option("--auth-server", default="", help="Auth Service to join.")
@click.option("--ca-pin", default="", help="Hash of the Auth Service's authority, sha256:<hex>.")
@click.option("--proxy", default="", help="Proxy Service to join through.")
@click.option("--app-name", default="", help="Name of an application to publish.")
@click.option("--app-uri", default="", help="Its address inside.")
def configure(output: str | None, test: str | None, **options: Any) -> None:
    """Print a configuration for `teleport start`, or check one.

    \b
    teleport configure -o /etc/teleport.yaml --cluster-name=example.com
    teleport configure --version=v1 --public-addr=teleport.example.com:443
    teleport configure --test ./teleport.yaml
    """
    if test is not None:
        if output is not None:
            raise BadParameter("CLI-CONFIG-OUTPUT-TEST")
        _check(SystemDisk().read(str(Path(test).absolute())).decode(errors="replace"), test)
        click.echo(f"{test} is valid")
        return
    text = write(options, socket.gethostname())
    try:
        _check(text, "the configuration")
    except NotSupported as error:
        # It is what was asked for, and a later build can start with it.
        click.echo(f"Note: this build cannot start with it: {error.what} ({error.code})", err=True)
    _write(text, output or "stdout")


def _check(text: str, source: str) -> None:
    preflight.check_services(settings.make(teleport_yaml.load(text, source), source))


def write(options: dict[str, Any], hostname: str) -> str:
    """Return the configuration that the options ask for. Raises BadParameter (CLI-CONFIG-*, KIND-*, CFG-LABELS)."""
    wanted = _roles(options)
    for first, second in (("cert_file", "key_file"), ("app_name", "app_uri")):
        if bool(options[first]) != bool(options[second]):
            names = (f"--{name.replace('_', '-')}" for name in (first, second))
            raise BadParameter("CLI-CONFIG-PAIR", options=" and ".join(names))
    if options["auth_server"] and options["proxy"]:
        raise BadParameter("CLI-CONFIG-ONE-SERVER")
    document: Tree = {
        "version": options["version"],
        "teleport": _teleport(options, hostname),
        "auth_service": _auth(options, hostname) if "auth" in wanted else {"enabled": False},
        "proxy_service": _proxy(options, hostname) if "proxy" in wanted else {"enabled": False},
        "ssh_service": _ssh(options) if "node" in wanted else {"enabled": False},
    }
    if "app" in wanted:
        apps = [{"name": options["app_name"], "uri": options["app_uri"]}] if options["app_name"] else []
        document["app_service"] = {"enabled": True, "apps": apps}
    return "\n".join(_lines(document)) + "\n"


def _roles(options: dict[str, Any]) -> list[str]:
    if options["roles"] is None:
        joining = options["auth_server"] or options["proxy"]
        usual = ["node"] if joining else ["auth", "proxy", "node"]
        return [*usual, "app"] if options["app_name"] else usual
    wanted = [role.strip().lower() for role in options["roles"].split(",")]
    for role in wanted:
        if role not in _ROLES:
            raise BadParameter("CLI-CONFIG-ROLE", role=role[:40], known=", ".join(_ROLES))
    return wanted


def _teleport(options: dict[str, Any], hostname: str) -> Tree:
    section: Tree = {"nodename": options["node_name"] or hostname, "data_dir": options["data_dir"]}
    if options["token"]:
        section["join_params"] = {"token_name": options["token"], "method": "token"}
    server = options["auth_server"] or options["proxy"]
    if server and options["version"] != "v3":
        section["auth_servers"] = [server]  # in older versions an address of either sort
    elif server:
        section["auth_server" if options["auth_server"] else "proxy_server"] = server
    if options["ca_pin"]:
        section["ca_pin"] = options["ca_pin"]
    section["log"] = {"output": "stderr", "severity": "INFO", "format": {"output": "text"}}
    return section


def _auth(options: dict[str, Any], hostname: str) -> Tree:
    return {"enabled": True, "listen_addr": "0.0.0.0:3025", "cluster_name": _cluster(options, hostname)}


def _proxy(options: dict[str, Any], hostname: str) -> Tree:
    public = options["public_addr"]
    port = parse_addr(public, _PORT).port if public else _PORT
    section: Tree = {
        "enabled": True,
        "web_listen_addr": f"0.0.0.0:{port}",
        "public_addr": public or f"{_cluster(options, hostname)}:{_PORT}",
    }
    if options["cert_file"]:
        section["https_keypairs"] = [{"key_file": options["key_file"], "cert_file": options["cert_file"]}]
    if options["acme"] or options["acme_email"]:
        section["acme"] = {"enabled": True, "email": options["acme_email"]}
    return section


def _ssh(options: dict[str, Any]) -> Tree:
    section: Tree = {"enabled": True, "listen_addr": "0.0.0.0:3022"}
    if options["node_labels"]:
        section["labels"] = parse_labels(options["node_labels"])
    return section


def _cluster(options: dict[str, Any], hostname: str) -> str:
    public = options["public_addr"]
    return options["cluster_name"] or (parse_addr(public, _PORT).host if public else hostname)


def _lines(tree: Tree, indent: str = "") -> Iterator[str]:
    """Write maps, lists of maps and scalars as YAML, in their order."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield f"{indent}{_scalar(key)}:" + ("" if value else " {}")
            yield from _lines(value, indent + "  ")
        elif isinstance(value, list):
            yield f"{indent}{_scalar(key)}:" + ("" if value else " []")
            for entry in value:
                inner = (
                    list(_lines(entry, indent + "    "))
                    if isinstance(entry, dict)
                    else [indent + "    " + _scalar(entry)]
                )
                yield f"{indent}  - {inner[0].strip()}"
                yield from inner[1:]
        else:
            yield f"{indent}{_scalar(key)}: {_scalar(value)}"


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    return text if plain else json.dumps(text)


def _write(text: str, output: str) -> None:
    if output == "stdout":
        click.echo(text, nl=False)
        return
    path = Path("/etc/teleport.yaml" if output == "file" else output.removeprefix("file://"))
    disk = SystemDisk()
    if disk.exists(str(path)):
        raise AlreadyExists("CLI-CONFIG-EXISTS", path=path)
    if not path.name:
        raise BadParameter("CLI-FILE", path=path, problem="it has no file name")
    disk.write(str(path.absolute()), text.encode(), mode=0o600, exclusive=True)
    click.echo(f"Wrote config to file {str(path)!r}. Now you can start the server with: teleport start -c {path}")
