"""Commands that must start at once: `ssh` starts `tsh proxy ssh` for every connection.

No click and no event loop is imported here. What a quick command cannot read is left to the full one, which
explains itself.
"""

from __future__ import annotations

import os
import sys

from teleport.base.clock import SystemClock
from teleport.base.disk import SystemDisk
from teleport.base.errors import BadParameter, NotFound
from teleport.base.lean import Callable, Mapping, NamedTuple, Sequence
from teleport.client.credentials import Credentials, Wanted, choose
from teleport.client.profile import Home

_OPTIONS = ("--cluster", "--proxy", "--user", "--identity", "-i")


class Target(NamedTuple):
    """`[login@]host[:port]` in its parts."""

    login: str
    """Empty if none was given."""
    host: str
    """With its port, if one was given."""


def parse_target(text: str) -> Target:
    """Read a target. Raises BadParameter (CLIENT-TARGET)."""
    login, at, host = text.rpartition("@")
    if not host or (at and not login) or not text.isprintable() or " " in text:
        raise BadParameter("CLIENT-TARGET", target=text[:100])
    return Target(login, host)


def proxy_ssh(arguments: Sequence[str]) -> int | None:
    """Connect standard input and output with a node; None if the arguments are not a plain call."""
    found = _read(arguments)
    if found is None:
        return None
    options, target = found
    identity = options.get("--identity") or options.get("-i", "")
    who = Wanted(options.get("--proxy", ""), identity, options.get("--user", ""))
    connect(target, who, cluster=options.get("--cluster", ""), resume="--no-resume" not in options)
    return 0


def resumes(environment: Mapping[str, str], *, off: bool, quiet: bool) -> Callable[[str], None] | None:
    """Return what tells of a connection that is lost and resumed; None: connections are not to be resumed."""
    from teleport.client.resumption import OFF, tell, tell_nobody  # while somebody else is at work

    return None if off or environment.get(OFF) else tell_nobody if quiet else tell


def credentials(who: Wanted) -> Credentials:
    """Return whom a command acts as. Raises what `client.credentials.choose` raises."""
    return choose(os.environ, SystemDisk(), who, warn=lambda text: print(f"WARNING: {text}", file=sys.stderr))


def connect(target: str, who: Wanted, *, cluster: str, resume: bool) -> None:
    """Do what `tsh proxy ssh` is for. Raises what `client.reach.reach` and `client.stdio.join` raise."""
    from teleport.client.reach import reach
    from teleport.client.resumption import carried
    from teleport.client.stdio import join
    from teleport.wire.reach import Request

    login, host = parse_target(target)
    chosen = credentials(who)
    chosen.check_valid(SystemClock())
    request = Request(host, cluster or chosen_cluster(os.environ), login)
    with chosen.in_use(login):
        way = reach(chosen.home, chosen.profile, request)
    tell = resumes(os.environ, off=not resume, quiet=False)
    over = carried(way, chosen.home, chosen.profile, request, tell) if tell else way
    join(over, sys.stdin.fileno(), sys.stdout.fileno())


def chosen_cluster(environment: Mapping[str, str]) -> str:
    """Return the cluster that the environment names; empty for the profile's."""
    return environment.get("TELEPORT_CLUSTER") or environment.get("TELEPORT_SITE", "")


def signed_in_proxy() -> dict[str, str]:
    """Return what `tsh version` says of the proxy: its version at the last sign-in, and its address."""
    home = Home.from_environment(os.environ, SystemDisk())
    try:
        profile = home.current()
    except (NotFound, BadParameter):  # nobody is signed in, or a damaged profile, which `tsh status` explains
        return {}
    return {"proxy_version": profile.proxy_version, "proxy": profile.web_proxy_addr}


def _read(arguments: Sequence[str]) -> tuple[dict[str, str], str] | None:
    options: dict[str, str] = {}
    targets: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if not word.startswith("-"):
            targets.append(word)
        elif word == "--no-resume":
            options[word] = ""
        elif name in _OPTIONS and (equals or rest):
            options[name] = value if equals else rest.pop(0)
        else:
            return None
    return (options, targets[0]) if len(targets) == 1 else None
