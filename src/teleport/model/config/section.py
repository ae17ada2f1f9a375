"""What the sections of teleport.yaml and tbot.yaml share: complaints with a path, lists of addresses.

A section reads its own keys and says what is wrong with their values; positions in the file are added by
`teleport_yaml` and `tbot_yaml`, which have the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, NamedTuple

from teleport.base import catalogue, yaml
from teleport.base.errors import BadParameter, NotSupported, TeleportError
from teleport.base.struct import Struct, Switch
from teleport.model.address import Address, parse_addr
from teleport.model.later import Path

ON, OFF = Switch(True), Switch(False)

OneOrMore = str | tuple[str, ...]
"""A text, or a list of texts, where people may write either."""


class Fault(NamedTuple):
    """Something wrong with a value."""

    path: Path
    error: TeleportError


class Warned(NamedTuple):
    """Something people should know of a file that is otherwise right."""

    code: str
    text: str

    def __str__(self) -> str:
        return self.text


class Section(Struct, frozen=True, kw_only=True):
    """A part of a configuration file."""

    def faults(self) -> Iterable[Fault]:
        """Return what is wrong with the values; paths begin at this section."""
        return ()


class ServiceSection(Section, frozen=True, kw_only=True):
    """A part that a service reads. Nothing in it has an effect when it is not enabled."""

    enabled: Switch = ON


def listed(value: OneOrMore) -> tuple[str, ...]:
    """Return a value of the type OneOrMore as a tuple; an empty text is none."""
    return (value,) if isinstance(value, str) and value else tuple(value)


def addresses(value: OneOrMore, default_port: int) -> tuple[Address, ...]:
    """Read one address or several. Raises BadParameter (KIND-ADDRESS)."""
    return tuple(parse_addr(text, default_port) for text in listed(value))


def trying(path: Path, check: Callable[..., Any], *arguments: Any) -> Iterator[Fault]:
    """Call `check`; yield the error it raises, if it does, as a fault at `path`."""
    try:
        check(*arguments)
    except TeleportError as error:
        yield Fault(path, error)


def proxy_mode(value: bool | str) -> Literal["on", "off", ""]:
    """Read `proxy_protocol`, which YAML may take for a boolean; empty is unset. Raises BadParameter (CONFIG-VALUE)."""
    if value in ("", "unspecified"):
        return ""
    try:
        return "on" if Switch.parse(value) else "off"
    except BadParameter:
        raise unknown("PROXY protocol mode", str(value), "on, off, unspecified") from None


def unknown(what: str, value: str, known: str) -> BadParameter:
    """Return the error for a word that is none of those known."""
    return BadParameter("CONFIG-VALUE", what=what, value=ascii(value[:40]), known=known)


def warned(code: str, **fields: Any) -> Warned:
    """Return the warning of a page of the catalogue."""
    return Warned(code, catalogue.find(code).what.format_map(fields))


def summed(
    source: str, problems: list[str], errors: list[TeleportError], code: str = "CONFIG-PROBLEMS"
) -> TeleportError:
    """Return one error for everything that is wrong with a file: the only error itself, or a list of all.

    `code` is the page of the list; where all are keys not acted on yet, it is CONFIG-NOT-SUPPORTED-KEYS.
    """
    if len(errors) == 1 and not problems:
        return errors[0]
    told = yaml.listed(source, [*problems, *(error.what for error in errors)])
    if not problems and all(isinstance(error, NotSupported) for error in errors):
        return NotSupported("CONFIG-NOT-SUPPORTED-KEYS", problems=told)
    return BadParameter(code, problems=told)
