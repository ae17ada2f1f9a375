"""Terminals as the kernel has them: a pair of devices, their modes and size, and both as SSH writes them.

Of a pair that a service opens it holds the master side; the slave side goes to the command, through a process that
makes it the user's. A client reads its own terminal. Nothing here needs a right.
"""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from collections.abc import Mapping
from typing import Any

from teleport.wire.terminal import Size, Terminal, size_of

_INPUT, _OUTPUT, _LOCAL, _CHARACTERS = 0, 1, 3, 6
"""Places in the list of `termios.tcgetattr`."""
NO_CHARACTER = 255
"""Argument that takes a special character away (RFC 4254 §8)."""

_CHARACTER_NAMES: Mapping[int, str] = {
    1: "VINTR", 2: "VQUIT", 3: "VERASE", 4: "VKILL", 5: "VEOF", 6: "VEOL", 7: "VEOL2", 8: "VSTART", 9: "VSTOP",
    10: "VSUSP", 11: "VDSUSP", 12: "VREPRINT", 13: "VWERASE", 14: "VLNEXT", 15: "VFLUSH", 16: "VSWTC", 17: "VSTATUS",
    18: "VDISCARD",
}  # fmt: skip
_FLAG_NAMES: Mapping[int, tuple[int, str]] = {
    **{30 + at: (_INPUT, name) for at, name in enumerate(
        ("IGNPAR", "PARMRK", "INPCK", "ISTRIP", "INLCR", "IGNCR", "ICRNL", "IUCLC", "IXON", "IXANY", "IXOFF",
         "IMAXBEL", "IUTF8"))},
    **{50 + at: (_LOCAL, name) for at, name in enumerate(
        ("ISIG", "ICANON", "XCASE", "ECHO", "ECHOE", "ECHOK", "ECHONL", "NOFLSH", "TOSTOP", "IEXTEN", "ECHOCTL",
         "ECHOKE", "PENDIN"))},
    **{70 + at: (_OUTPUT, name) for at, name in enumerate(("OPOST", "OLCUC", "ONLCR", "OCRNL", "ONOCR", "ONLRET"))},
}  # fmt: skip
"""Opcodes of RFC 4254 §8 (42: RFC 8160) that are one bit. Those of the line (90 to 93) are not taken over: a
pseudo-terminal has eight bits and no parity, and the C library fails where the kernel keeps it so."""
_IUTF8 = 0o40000
"""Linux, asm-generic/termbits.h: the standard library has no name for it."""


def open_pair(wanted: Terminal) -> tuple[int, int]:
    """Open a terminal of the wanted size and modes; return its master (non-blocking) and slave. Raises OSError."""
    master, slave = os.openpty()
    try:
        termios.tcsetattr(slave, termios.TCSANOW, with_modes(termios.tcgetattr(slave), wanted.modes))
        resize(master, wanted.size)
        os.set_blocking(master, False)
    except (OSError, termios.error) as error:
        os.close(master)
        os.close(slave)
        raise OSError(*error.args) from None
    return master, slave


def with_modes(attributes: list[Any], modes: Mapping[int, int]) -> list[Any]:
    """Return the attributes of a terminal changed by a client's modes. Opcodes without meaning here are left out."""
    changed = [*attributes]
    characters = changed[_CHARACTERS] = [*attributes[_CHARACTERS]]
    for opcode, argument in modes.items():
        if opcode in _CHARACTER_NAMES:
            index = getattr(termios, _CHARACTER_NAMES[opcode], None)
            if index is not None and argument <= NO_CHARACTER:
                characters[index] = bytes([0 if argument == NO_CHARACTER else argument])
        elif opcode in _FLAG_NAMES:
            place, name = _FLAG_NAMES[opcode]
            bit = _bit(name)
            changed[place] = changed[place] | bit if argument else changed[place] & ~bit
    return changed


def modes_of(attributes: list[Any]) -> dict[int, int]:
    """Return the attributes of a terminal as modes for a server (RFC 4254 §8)."""
    found: dict[int, int] = {}
    for opcode, name in _CHARACTER_NAMES.items():
        index = getattr(termios, name, None)
        character = attributes[_CHARACTERS][index] if index is not None else b""
        if isinstance(character, bytes) and character:
            found[opcode] = character[0] or NO_CHARACTER
    for opcode, (place, name) in _FLAG_NAMES.items():
        found[opcode] = int(bool(attributes[place] & _bit(name)))
    return found


def _bit(name: str) -> int:
    return _IUTF8 if name == "IUTF8" else int(getattr(termios, name, 0))


def size(descriptor: int) -> Size:
    """Return the size of a terminal; the default of one that does not know, or is none."""
    try:
        rows, columns, _, _ = struct.unpack("HHHH", fcntl.ioctl(descriptor, termios.TIOCGWINSZ, b"\0" * 8))
    except OSError:
        return Size()
    return size_of(columns, rows)


def resize(master: int, size: Size) -> None:
    """Give a terminal another size; whoever runs in its foreground gets SIGWINCH. Raises OSError."""
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", size.rows, size.columns, 0, 0))


def end_of_input(master: int) -> bytes:
    """Return the character that tells a program at the terminal that there is no more input."""
    try:
        character = termios.tcgetattr(master)[_CHARACTERS][termios.VEOF]
    except (OSError, termios.error):
        return b""
    return character if isinstance(character, bytes) else b"\x04"


def interrupt(master: int, number: int) -> None:
    """Send SIGINT or SIGQUIT to the group in the foreground, as the key for it does. Raises OSError."""
    fcntl.ioctl(master, TIOCSIG, number)


TIOCSIG = 0x40045436
"""Linux, asm-generic/ioctls.h: takes SIGINT, SIGQUIT and SIGTSTP."""
