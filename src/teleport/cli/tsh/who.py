"""Options that say as whom a `tsh` command acts; the same for all that do not sign in themselves."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from teleport.client.credentials import Wanted

_OPTIONS = (
    click.option("--proxy", default="", help="Proxy whose sign-in is used [TELEPORT_PROXY]."),
    click.option(
        "-i", "--identity", default="", metavar="FILE",
        help="Act as the owner of an identity file; no sign-in is needed [TELEPORT_IDENTITY_FILE].",
    ),
    click.option("--user", default="", hidden=True),
    click.option("--insecure", is_flag=True, hidden=True, expose_value=False),
)  # fmt: skip
"""`--insecure` changes nothing here: it is about the first contact, and from then on the cluster's own authorities
are checked."""


def who_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options; the function receives them as `who`, a `Wanted`."""

    @functools.wraps(function)
    def called(*args: Any, proxy: str, identity: str, user: str, **rest: Any) -> Any:
        return function(*args, who=Wanted(proxy, identity, user), **rest)

    for option in reversed(_OPTIONS):
        called = option(called)
    return called
