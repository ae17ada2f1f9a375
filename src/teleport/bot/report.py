"""How the end of a bot is told: the first cause with its page, and what followed from it folded below.

The reference shows three lines when the Auth Service cannot be reached: the cause; the cause and what trying the same
address as a proxy came to; and that alone. The first is the headline, the others are for `--debug`: who reads them
takes the last for the reason.
"""

from __future__ import annotations

from collections.abc import Iterator

from teleport.base.errors import TeleportError
from teleport.base.escape import escape

QUESTION = 'Get "https://teleport.cluster.local/v2/configuration/name"'
"""What a client of the reference asks first, on each connection."""
_REFUSED = "NET-TLS-REFUSED-"


def primary(error: TeleportError) -> str:
    """Return the cause for which the Auth Service does not serve the bot, in the words of the reference."""
    if error.code == "POL-LOCKED":
        return "auth API: access denied [00]"
    if error.code.startswith(_REFUSED):
        return f"{QUESTION}: remote error: tls: bad certificate"
    return f"{QUESTION}: {error.what}"


def direct(first: str, second: str) -> tuple[str, str, str]:
    """Return the three lines of a failure: `first` is its cause, `second` what came of trying a proxy."""
    second = f"{QUESTION}: {second}"
    return (
        f"failed direct dial to auth server: {first}",
        f"{first}, failed dial to auth server through reverse tunnel: {second}",
        second,
    )


def noted(error: TeleportError, headline: str, *folded: str) -> TeleportError:
    """Note at an error how it is told."""
    for line in (headline, *folded):
        error.add_note(line)
    return error


def lines(error: TeleportError, *, debug: bool) -> Iterator[str]:
    """Yield the lines for a terminal: the headline, with `debug` what is folded, then code, why, fix and id."""
    notes = list(getattr(error, "__notes__", ()))
    headline, *folded = notes or [error.what]
    first, *rest = headline.splitlines()
    yield f"ERROR: {escape(first)}"
    yield from (escape(line) for line in rest)
    if debug:
        yield from (_quoted(line) for line in folded)
    why = f"{error.what}: {error.why}" if notes and error.why else error.why or (error.what if notes else "")
    for name, text in (("code", error.code), ("why", why), ("fix", error.fix), ("id", error.id)):
        if text:
            yield f"  {name + ':':<6}{escape(text)}"


def _quoted(line: str) -> str:
    """Return a line as the reference shows it: a tab, and all of it in quotes."""
    text = escape(line).replace('"', '\\"')
    return f'"\\t{text}"'
