"""Reading what bpftrace prints: lines of JSON around the lines of our program.

Paths, arguments and names are bytes that users choose: they arrive escaped (a line of output is never two), are read
strictly, and leave here as text in which only characters that can be printed are left as they are.
"""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Any, NamedTuple

LINE_BYTES = 8192
"""Longest line; what is longer is none of our program's."""


class Attached(NamedTuple):
    """The program is in the kernel."""


class Made(NamedTuple):
    """A control group of a session was made."""

    group: int


class Exec(NamedTuple):
    """A process begins to execute another program."""

    thread: int
    pid: int
    parent: int
    group: int
    program: str
    """Name of the process until then."""
    path: str


class Argument(NamedTuple):
    """One argument of an Exec."""

    thread: int
    number: int
    text: str


class Returned(NamedTuple):
    """An Exec has an outcome: 0, or the negative number of an error."""

    thread: int
    result: int


class Opened(NamedTuple):
    """A file was opened for writing, or made."""

    pid: int
    parent: int
    group: int
    flags: int
    result: int
    """A descriptor, or the negative number of an error."""
    program: str
    path: str


class Connected(NamedTuple):
    """A TCP connection begins."""

    pid: int
    group: int
    program: str
    version: int
    source: str
    destination: str
    port: int


class Lost(NamedTuple):
    """The kernel had to drop something, because nobody read fast enough."""

    events: int


class Said(NamedTuple):
    """Anything else: most likely why it does not work."""

    text: str


Line = Attached | Made | Exec | Argument | Returned | Opened | Connected | Lost | Said

_NUMBER = r"(\d{1,20})"
_RESULT = r"(-?\d{1,20})"
_MADE = re.compile(rf"M {_NUMBER}")
_EXEC = re.compile(rf"E {_NUMBER} {_NUMBER} {_NUMBER} {_NUMBER} (.{{16}})(.*)", re.DOTALL)
_ARGUMENT = re.compile(rf"A {_NUMBER} {_NUMBER} (.*)", re.DOTALL)
_RETURNED = re.compile(rf"R {_NUMBER} {_RESULT}")
_OPENED = re.compile(rf"D {_NUMBER} {_NUMBER} {_NUMBER} ([0-9a-f]{{1,16}}) {_RESULT} (.{{16}})(.*)", re.DOTALL)
_ADDRESS = r"([0-9a-f.:]{1,45})"
_CONNECTED = re.compile(rf"N {_NUMBER} {_NUMBER} (.{{16}})([46]) {_ADDRESS} {_ADDRESS} (\d{{1,5}})", re.DOTALL)


def read(line: bytes) -> Line:
    """Read one line. Never raises: what cannot be read is Said."""
    try:
        found = json.loads(line[:LINE_BYTES].decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        found = None
    kind, data = (found.get("type"), found.get("data")) if isinstance(found, dict) else (None, None)
    if kind == "printf" and isinstance(data, str):
        return _printed(data)
    if kind == "attached_probes":
        return Attached()
    if kind == "lost_events" and isinstance(data, dict) and type(data.get("events")) is int:
        return Lost(max(0, data["events"]))
    return Said(_shown(line[:LINE_BYTES].decode("utf-8", "surrogateescape")).strip()[:500])


def _printed(data: str) -> Line:
    # Column widths count bytes: a name that is not ASCII has fewer characters than columns.
    raw = data.encode("utf-8", "backslashreplace" if _lone(data) else "surrogateescape").decode("latin-1")
    if match := _EXEC.fullmatch(raw):
        thread, pid, parent, group = (int(part) for part in match.groups()[:4])
        return Exec(thread, pid, parent, group, _name(match[5]), _text(match[6]))
    if match := _ARGUMENT.fullmatch(raw):
        return Argument(int(match[1]), int(match[2]), _text(match[3]))
    if match := _OPENED.fullmatch(raw):
        pid, parent, group = (int(part) for part in match.groups()[:3])
        return Opened(pid, parent, group, int(match[4], 16), int(match[5]), _name(match[6]), _text(match[7]))
    if match := _RETURNED.fullmatch(raw):
        return Returned(int(match[1]), int(match[2]))
    if match := _MADE.fullmatch(raw):
        return Made(int(match[1]))
    match = _CONNECTED.fullmatch(raw)
    return (match and _connected(match.groups())) or Said(_shown(data)[:500])


def _connected(parts: tuple[str | Any, ...]) -> Connected | None:
    pid, group, program, version, source, destination, port = parts
    try:
        ends = [ipaddress.ip_address(address) for address in (source, destination)]
    except ValueError:
        return None
    if any(end.version != int(version) for end in ends) or int(port) > 65535:
        return None
    return Connected(
        int(pid), int(group), _name(program), int(version), str(ends[0]), str(ends[1]), int(port)
    )  # fmt: skip


def _name(latin: str) -> str:
    return _text(latin.rstrip(" "))


def _text(latin: str) -> str:
    return _shown(latin.encode("latin-1").decode("utf-8", "surrogateescape"))


def _shown(text: str) -> str:
    """Return a text with everything escaped that would not show as itself, and the backslash that escapes it."""
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(map(_escaped, text))


def _escaped(letter: str) -> str:
    if letter.isprintable() and letter != "\\":
        return letter
    if letter == "\\":
        return "\\\\"
    try:
        return "".join(f"\\x{byte:02x}" for byte in letter.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:  # a surrogate that stands for no byte
        return f"\\u{ord(letter):04x}"


def _lone(text: str) -> bool:
    """Whether a text has surrogates that stand for no byte: JSON can say such."""
    return any("\ud800" <= letter <= "\udfff" and not "\udc80" <= letter <= "\udcff" for letter in text)
