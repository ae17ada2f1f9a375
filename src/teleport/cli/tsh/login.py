"""tsh login, logout, status: sign-ins and what is known of them."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable
from typing import Any

import click

from teleport.base.clock import Clock, SystemClock
from teleport.base.disk import SystemDisk
from teleport.base.errors import BadParameter, NotFound, TeleportError
from teleport.base.escape import escape
from teleport.base.text import valid_for
from teleport.cli.common import format_option, show
from teleport.cli.tsh.quick import credentials
from teleport.cli.tsh.who import who_options
from teleport.client import agent, holder_call
from teleport.client.credentials import Wanted
from teleport.client.profile import Home, Profile, address_of, host_of

Keeper = Callable[[Profile, bytes, str], None]
"""Takes a private key and its certificate."""


@click.command("login")
@click.option("--proxy", envvar="TELEPORT_PROXY", help="Address of the proxy, host or host:port.")
@click.option("--user", envvar="TELEPORT_USER", help="Your user name in the cluster.")
@click.option("--ttl", type=click.IntRange(min=1), default=None, help="Wished validity in minutes.")
@click.option("--insecure", is_flag=True, help="Do not check the proxy's web certificate (first contact, tests).")
@click.option("--skip-version-check", "skip", is_flag=True, help="Go on where versions do not work together.")
@click.option(
    "-k", "--add-keys-to-agent", "to_agent", type=click.Choice(["auto", "no", "yes", "only"]), default="auto",
    envvar="TELEPORT_ADD_KEYS_TO_AGENT", show_default=True,
    help="Put the key into the running SSH agent; yes: say so when that fails; only: write it to no file.",
)  # fmt: skip
def login(proxy: str | None, user: str | None, ttl: int | None, insecure: bool, skip: bool, to_agent: str) -> None:
    """Sign in and store short-lived certificates.

    \b
    tsh login --proxy=teleport.example.com --user=alice
    Password and code are asked for on the terminal, or read as two lines from standard input.
    """
    clock = SystemClock()
    home = Home.from_environment(os.environ, SystemDisk())
    known = _known(home, proxy)
    only = to_agent == "only"
    if only:
        agent.check(os.environ)  # before anybody has typed anything
    if known and _serves(home, known, clock, only=only) and user in (None, known.user) and ttl is None:
        home.save(known)
        profile = known
    else:
        name = user or (known.user if known else getpass.getuser())
        profile = _sign_in(home, _address(proxy, known), name, ttl, insecure, _keeper(clock) if only else None, skip)
    print_profile(profile, clock, active=True)
    if to_agent in ("auto", "yes"):
        _load(home, profile, clock, aloud=to_agent == "yes")


def _serves(home: Home, known: Profile, clock: Clock, *, only: bool) -> bool:
    """Whether an earlier sign-in is still good, and its SSH key is where it is wanted."""
    if known.valid_until <= clock.now():
        return False
    if home.disk.exists(home.files(known).ssh_key):
        return not only
    return agent.has_key(home, known, os.environ)


def _keeper(clock: Clock) -> Keeper:
    """Return what puts a key into the agent alone."""
    return lambda profile, private, certificate: agent.keep(os.environ, profile, private, certificate, clock)


def _load(home: Home, profile: Profile, clock: Clock, *, aloud: bool) -> None:
    """Put the key into the SSH agent. Nobody's sign-in fails for that."""
    problem = agent.load(home, profile, os.environ, clock)
    if aloud and not agent.present(os.environ):
        click.echo("WARNING: no SSH agent is running here (SSH_AUTH_SOCK is not set).", err=True)
    elif aloud and problem is not None:
        click.echo(f"WARNING: {escape(problem.what)} ({problem.code})", err=True)


def _sign_in(
    home: Home, address: str, user: str, ttl: int | None, insecure: bool, keep: Keeper | None, skip: bool
) -> Profile:  # fmt: skip
    # Signing in makes keys and speaks TLS; `tsh status` must not pay for importing that.
    from teleport.base.entropy import SystemEntropy
    from teleport.client import version_check
    from teleport.client.login import sign_in
    from teleport.client.way import must_upgrade
    from teleport.client.web_api import find_proxy

    if insecure:
        click.echo("WARNING: the proxy's web certificate is not checked; use this only for a first test.", err=True)
    try:
        api, settings = find_proxy(address, insecure=insecure, between=home.between)
    except TeleportError as error:
        raise _named(error, address, home) from None
    if (warning := version_check.check(settings, skip=skip)) is not None:
        click.echo(f"WARNING: {escape(warning.what)} ({warning.code})", err=True)
    return sign_in(
        home,
        api,
        settings,
        user=user,
        password=_password(user),
        code=_code,
        ttl_minutes=ttl or 0,
        keep=keep,
        upgraded=must_upgrade(api.address, home.between),
        entropy=SystemEntropy(),
    )


def _named(error: TeleportError, address: str, home: Home) -> TeleportError:
    """Return an error that names what answers at the address, where that is no proxy."""
    if error.code not in ("CLIENT-WEB-CERT", "CLIENT-NOT-TLS"):
        return error
    import asyncio

    from teleport.client import answering
    from teleport.net.network import SystemNetwork

    where = str(address_of(address))
    return asyncio.run(answering.named(error, SystemNetwork(), where, home.between, wanted=answering.PROXY))


def _known(home: Home, proxy: str | None) -> Profile | None:
    """Return the earlier sign-in that is meant. A damaged one at a proxy that is named is written anew."""
    if proxy is None:
        try:
            return home.current()
        except NotFound:
            return None
    wanted = address_of(proxy)
    try:
        profile = home.load(wanted.host)
    except (NotFound, BadParameter):
        return None
    return profile if not wanted.port or profile.web_proxy_addr == str(wanted) else None


def _address(proxy: str | None, known: Profile | None) -> str:
    if proxy:
        return proxy
    if known:
        return known.web_proxy_addr
    raise BadParameter("CLIENT-NO-PROXY")


def _password(user: str) -> str:
    password = _typed(f"Enter password for Teleport user {user}: ")
    if not password:
        raise BadParameter("CLIENT-NO-PASSWORD", user=user)
    return password


def _code() -> str:
    code = _typed("Enter an OTP code from a device: ")
    if not code:
        raise BadParameter("CLIENT-NO-CODE")
    return code


def _typed(prompt: str) -> str:
    """Return what is typed on the terminal, or the next line of standard input."""
    try:
        return getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    except EOFError:
        return ""


@click.command("logout")
@click.option("--proxy", default=None, help="Only from this proxy.")
@click.option("--user", default=None, help="Only this user.")
def logout(proxy: str | None, user: str | None) -> None:
    """Remove certificates and keys."""
    home = Home.from_environment(os.environ, SystemDisk())
    profiles, damaged = _chosen(home, None if proxy is None else host_of(proxy), user)
    if not profiles and not damaged:
        raise NotFound("CLIENT-NOT-LOGGED-IN")
    for profile in profiles:
        agent.unload(profile, os.environ)
        home.forget(profile)
        holder_call.end_all(os.environ, home.root, profile.proxy_host)
        if proxy is not None or user is not None or damaged:
            click.echo(f"Logged out {profile.user} from {profile.proxy_host}.")
    if damaged:
        raise damaged[0]
    if proxy is None and user is None:
        click.echo("Logged out all users from all proxies.")


def _chosen(home: Home, proxy: str | None, user: str | None) -> tuple[list[Profile], list[BadParameter]]:
    """Return the profiles that are meant, and why others that may be meant cannot be read: keys stay there."""
    profiles, damaged = [], []
    for host in home.proxies() if proxy is None else [proxy]:
        try:
            profiles.append(home.load(host))
        except NotFound:
            continue
        except BadParameter as error:
            damaged.append(error)
    return [profile for profile in profiles if user in (None, profile.user)], damaged


@click.command("status")
@who_options
@format_option
def status(who: Wanted, output_format: str) -> None:
    """Show who you are signed in as, and for how long."""
    clock, chosen = SystemClock(), credentials(who)
    active = chosen.profile
    others = [] if chosen.identity else [p for p in chosen.home.profiles() if p.proxy_host != active.proxy_host]
    if output_format == "text":
        print_profile(active, clock, active=True)
        for profile in others:
            print_profile(profile, clock, active=False)
    else:
        show(
            {"active": as_document(active), "profiles": [as_document(p) for p in others], "environment": {}},
            output_format,
        )
    chosen.check_valid(clock)


def as_document(profile: Profile) -> dict[str, Any]:
    """Return a profile with the keys that scripts rely on (`.active.roles`, `.active.username`)."""
    return {
        "profile_url": profile.url,
        "username": profile.user,
        "active_requests": [],
        "cluster": profile.cluster,
        "roles": list(profile.roles),
        "traits": {name: list(values) for name, values in profile.traits.items()},
        "logins": list(profile.logins),
        "kubernetes_enabled": False,
        "kubernetes_cluster": "",
        "kubernetes_users": [],
        "kubernetes_groups": [],
        "databases": [],
        "valid_until": profile.valid_until.isoformat().replace("+00:00", "Z"),
        "extensions": _shown(profile),
        "critical_options": dict(profile.critical_options),
        "allowed_resources": [],
    }


def print_profile(profile: Profile, clock: Clock, *, active: bool) -> None:
    """Print a profile as people read it."""
    validity = f"[{valid_for(profile.valid_until, clock.now())}]"
    rows = (
        ("Profile URL", profile.url),
        ("Logged in as", profile.user),
        ("Cluster", profile.cluster),
        ("Roles", ", ".join(profile.roles)),
        ("Logins", ", ".join(profile.logins)),
        ("Kubernetes", "disabled"),
        ("Valid until", f"{profile.valid_until:%Y-%m-%d %H:%M:%S} +0000 UTC {validity}"),
        ("Extensions", ", ".join(_shown(profile))),
    )
    for number, (heading, value) in enumerate(rows):
        mark = "> " if active and number == 0 else "  "
        click.echo(f"{mark}{heading + ':':<19} {escape(value)}".rstrip())


def _shown(profile: Profile) -> list[str]:
    """Extensions of the certificate that say something to people: ours carry what the other rows show."""
    return [name for name in profile.extensions if not name.removeprefix("x-").startswith("teleport-")]
