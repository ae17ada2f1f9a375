"""tctl users: accounts of people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from teleport.api.client import AuthClient
from teleport.api.messages import Invite
from teleport.base.clock import SystemClock
from teleport.base.errors import BadParameter, TeleportError
from teleport.base.struct import Duration
from teleport.base.text import table
from teleport.cli.common import format_option, show
from teleport.cli.tctl.session import Where, call, collect, public_address, where_options
from teleport.model import resource

SHARE = """NOTE: Make sure {proxy} points at a Teleport proxy which users can access."""


F = TypeVar("F", bound=Callable[..., Any])

_TRAITS = (
    "logins", "windows_logins", "kubernetes_users", "kubernetes_groups", "db_users", "db_names", "db_roles",
    "aws_role_arns", "azure_identities", "gcp_service_accounts", "host_user_uid", "host_user_gid",
)  # fmt: skip
"""Traits of the reference: roles use them as `{{internal.<name>}}`."""


def _words(_context: click.Context, _option: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(word.strip() for word in value.split(",") if word.strip())


def _ttl(_context: click.Context, _option: click.Parameter, value: str | None) -> Duration | None:
    return None if value is None else Duration.parse(value)


def _trait_options(prefix: str) -> Callable[[F], F]:
    """Give a command an option for every trait that the reference names: `--logins`, or `--set-logins`."""

    def decorate(function: F) -> F:
        for trait in reversed(_TRAITS):
            text = f"Values of the trait {{{{internal.{trait}}}}}, separated by commas."
            function = click.option(f"{prefix}{trait.replace('_', '-')}", callback=_words, help=text)(function)
        return function

    return decorate


@click.command("users add")
@click.argument("account")
@click.option("--roles", callback=_words, required=True, help="Roles, separated by commas.")
@_trait_options("--")
@click.option("--ttl", callback=_ttl, help="How long the link is valid [1h, at most 48h].")
@format_option
@where_options
def add(
    account: str,
    roles: tuple[str, ...],
    ttl: Duration | None,
    output_format: str,
    where: Where,
    **given: tuple[str, ...] | None,
) -> None:
    """Create a user and print a link to set a password.

    \b
    tctl users add alice --roles=access --logins=alice,ubuntu
    """
    traits = {name: list(values) for name, values in given.items() if values}
    user = resource.load(
        {
            "kind": "user",
            "version": "v2",
            "metadata": {"name": account},
            "spec": {"roles": list(roles), "traits": traits},
        }
    )

    async def work(client: AuthClient) -> Any:
        await client.create(user)
        try:
            return await client.create_invite(account, ttl=float(ttl or 0))
        except TeleportError:
            await client.delete("user", account)  # without a link the user would only be in the way
            raise

    invite = call(where, work)
    text = (
        f'User "{account}" has been created but requires a password. '
        "Share this URL with the user to complete user setup"
    )
    _print_invite(invite, text, output_format, where)


@click.command("users reset")
@click.argument("account")
@click.option("--ttl", callback=_ttl, help="How long the link is valid [8h, at most 24h].")
@format_option
@where_options
def reset(account: str, ttl: Duration | None, output_format: str, where: Where) -> None:
    """Remove a user's password and print a link to set a new one."""
    invite = call(where, lambda client: client.create_reset(account, ttl=float(ttl or 0)))
    text = f"User {account} has been reset. Share this URL with the user to complete password reset"
    _print_invite(invite, text, output_format, where)


def _print_invite(invite: Invite, text: str, output_format: str, where: Where) -> None:
    proxy = public_address(where)
    url = f"https://{proxy}{invite.path}"
    if output_format != "text":
        show({"user": invite.user, "url": url, "expires": invite.expires.isoformat()}, output_format)
        return
    left = round((invite.expires - SystemClock().now()).total_seconds() / 60) * 60
    click.echo(f"{text}, link is valid for {_short(left)}:\n{url}\n\n{SHARE.format(proxy=proxy)}")


def _short(seconds: float) -> str:
    """Return `1h` for 3600: as people say it."""
    text = str(Duration(seconds))
    return text.replace("m0s", "m").replace("h0m", "h") if text.endswith("m0s") else text


@click.command("users ls")
@format_option
@where_options
def ls(output_format: str, where: Where) -> None:
    """List users."""
    users = call(where, lambda client: collect(client.list("user")))
    if output_format != "text":
        show([resource.dump(user) for user in users], output_format)
    elif not users:
        click.echo("No users found")
    else:
        for line in table(["User", "Roles"], [(user.name, ",".join(user.spec.roles)) for user in users]):
            click.echo(line)


@click.command("users update")
@click.argument("account")
@click.option("--set-roles", callback=_words, help="Replace the roles.")
@_trait_options("--set-")
@where_options
def update(
    account: str, set_roles: tuple[str, ...] | None, where: Where, **given: tuple[str, ...] | None
) -> None:  # fmt: skip
    """Change roles or traits of a user; they count from the next sign-in on.

    \b
    tctl users update alice --set-roles=access,auditor --set-logins=alice,root
    """
    traits = {name: values for name in _TRAITS if (values := given[f"set_{name}"]) is not None}
    if set_roles is None and not traits:
        raise click.UsageError("Nothing to update: give --set-roles, --set-logins or another trait.")

    async def work(client: AuthClient) -> None:
        changed = resource.dump(await client.get("user", account))
        spec = changed.setdefault("spec", {})
        if set_roles is not None:
            spec["roles"] = list(set_roles)
        spec["traits"] = {**spec.get("traits", {}), **{name: list(values) for name, values in traits.items()}}
        await client.update(resource.load(changed))

    call(where, work)
    click.echo(f"User {account} has been updated:")
    for name, values in (traits if set_roles is None else {"roles": set_roles, **traits}).items():
        click.echo(f"\tNew {name.replace('_', ' ')}: {','.join(values)}")


@click.command("users rm")
@click.argument("accounts", metavar="ACCOUNT[,...]")
@where_options
def rm(accounts: str, where: Where) -> None:
    """Delete users."""
    names = [name.strip() for name in accounts.split(",") if name.strip()]
    if not names:
        raise BadParameter("CLI-RM-NAME", kind="user")

    async def work(client: AuthClient) -> None:
        for name in names:
            await client.delete("user", name)
            click.echo(f'User "{name}" has been deleted')

    call(where, work)
