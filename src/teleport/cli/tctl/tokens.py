"""tctl tokens: invitations for hosts.

Here: making, listing and removing tokens, and what to type on the new host. Not here: how a host uses one.
"""

from __future__ import annotations

import datetime as dt
from typing import cast

import click

from teleport.base.clock import SystemClock
from teleport.base.entropy import SystemEntropy
from teleport.base.errors import AccessDenied, AlreadyExists, BadParameter
from teleport.base.struct import Duration
from teleport.base.text import label_text, parse_labels, table, terminal_width
from teleport.cli.common import format_option, show
from teleport.cli.tctl.session import Where, call, collect, join_address, where_options
from teleport.model import resource
from teleport.model.kinds.token import Token

_BYTES = 16
"""Of a generated token: 32 hexadecimal digits."""
_STARTED = frozenset({"Node", "Proxy", "Auth"})
"""System roles of services that `teleport start --roles` runs."""
_END = dt.datetime.max.replace(tzinfo=dt.UTC)


@click.command("tokens add")
@click.option("--type", "types", required=True, help="What hosts may become with it, separated by commas.")
@click.option("--value", default="", help="The token itself [32 random hexadecimal digits].")
@click.option("--labels", default="", help="Labels of the token, k=v,k2=v2.")
@click.option("--ttl", default="30m", show_default=True, help="How long it is valid.")
@click.option("--format", "output_format", type=click.Choice(["text", "json", "yaml"]), default=None)
@where_options
def add(types: str, value: str, labels: str, ttl: str, output_format: str | None, where: Where) -> None:
    """Make a token with which hosts may join.

    \b
    tctl tokens add --type=node --ttl=1h
    tctl tokens add --type=discovery,kube --format=text > /tmp/token
    """
    token = make(types, value, labels, ttl, where)
    if output_format is None:
        instruct(token, Duration.parse(ttl), where)
    elif output_format == "text":
        click.echo(token.name)
    else:
        end = token.metadata.expires
        document = {"token": token.name, "roles": list(token.spec.roles), "expires": end.isoformat() if end else ""}
        show(document, output_format)


def make(types: str, value: str, labels: str, ttl: str, where: Where) -> Token:
    """Store a token, and return it. Raises BadParameter (CLI-TOKEN-TTL, KIND-*), AlreadyExists (CLI-TOKEN-EXISTS)."""
    length = Duration.parse(ttl)
    if length <= 0:
        raise BadParameter("CLI-TOKEN-TTL", ttl=ttl)
    roles = [word.strip() for word in types.split(",") if word.strip()]
    if [role.lower() for role in roles] == ["kube"]:
        roles += ["app", "discovery"]  # what it discovers in the Kubernetes cluster needs these
    expires = (SystemClock().now() + length.delta).astimezone(dt.UTC).replace(microsecond=0)
    name = value or SystemEntropy().token(_BYTES).hex()
    metadata = {"name": name, "labels": parse_labels(labels), "expires": expires.isoformat()}
    document = {"kind": "token", "version": "v2", "metadata": metadata, "spec": {"roles": roles}}
    wanted = cast(Token, resource.load(document))
    try:
        call(where, lambda client: client.create(wanted))
    except AlreadyExists:
        raise AlreadyExists("CLI-TOKEN-EXISTS", token=wanted.safe_name()) from None
    return wanted


def instruct(token: Token, length: Duration, where: Where) -> None:
    """Say what the token is, how long it is good, and how a host joins with it."""
    click.echo(f"The invite token: {token.name}\nThis token will expire in {minutes(length)}.")
    if not {*token.spec.roles} <= _STARTED:
        return
    address, roles = join_address(where), ",".join(token.spec.roles).lower()
    words = [f"--roles={roles}", f"--token={token.name}", *(f"--ca-pin={pin}" for pin in pins(where))]
    lines = " \\\n".join(f"   {word}" for word in (*words, f"--auth-server={address}"))
    click.echo(
        f"\nRun this on the new node to join the cluster:\n\n> teleport start \\\n{lines}\n\nPlease note:\n\n"
        f"  - This invitation token will expire in {minutes(length)}\n"
        f"  - {address} must be reachable from the new node"
    )


def pins(where: Where) -> tuple[str, ...]:
    """Return the CA pins, as far as who asks may know them."""
    try:
        return call(where, lambda client: client.status()).ca_pins
    except AccessDenied:
        return ()


def minutes(length: float) -> str:
    """Return so many seconds in words."""
    count = max(round(length / 60), 1)
    return f"{count} minute{'s' if count != 1 else ''}"


@click.command("tokens ls")
@click.option("--with-secrets", is_flag=True, help="Show tokens whole.")
@click.option("--labels", default="", help="Only tokens with these labels, k=v,k2=v2.")
@format_option
@where_options
def ls(with_secrets: bool, labels: str, output_format: str, where: Where) -> None:
    """List tokens, the one that ends first first."""
    wanted = parse_labels(labels)
    found = call(where, lambda client: collect(client.list("token", labels=wanted, with_secrets=with_secrets)))
    tokens = [entry for entry in found if isinstance(entry, Token)]
    tokens.sort(key=lambda token: (token.metadata.expires or _END, token.name))
    if output_format != "text":
        shown = [token if with_secrets else token.with_metadata(name=token.safe_name()) for token in tokens]
        show([resource.dump(token) for token in shown], output_format)
        return
    if not tokens:
        click.echo("No active tokens found.")
        return
    now = SystemClock().now()
    rows = [
        (token.name if with_secrets else token.safe_name(), ",".join(token.spec.roles),
         label_text(token.metadata.labels), _expiry(token, now))
        for token in tokens
    ]  # fmt: skip
    for line in table(["Token", "Type", "Labels", "Expiry Time (UTC)"], rows, width=terminal_width()):
        click.echo(line)


def _expiry(token: Token, now: dt.datetime) -> str:
    """Return the end as RFC 822 writes it, with what is left."""
    end = token.metadata.expires
    if end is None:
        return "never"
    left = Duration(max(round((end - now).total_seconds()), 0))
    return f"{end.astimezone(dt.UTC):%d %b %y %H:%M UTC} ({left})"


@click.command("tokens rm")
@click.argument("token")
@where_options
def rm(token: str, where: Where) -> None:
    """Delete a token. Hosts that have joined with it stay."""
    call(where, lambda client: client.delete("token", token))
    click.echo(f"Token {token} has been deleted")
