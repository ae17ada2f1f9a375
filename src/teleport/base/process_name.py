"""The name under which a process is found: `pidof teleport` shows the server and none of its helpers.

`pidof` compares the base name of argv[0] and the kernel's short name, which ends after 15 bytes. Both are
set; the rest of the command line stays readable in `ps`, because people look for the configuration file there.

The command line is the process's own memory: where it lies, and the way to write there, are files under
/proc/self (proc_pid_stat(5), proc_pid_mem(5)). That spares each helper a library and what that imports.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence

_ARG_START, _ARG_END = 48, 49
"""Fields of /proc/PID/stat, counted from one."""
_SHORT = 15


def set_name(name: str, arguments: Sequence[str] | None = None) -> None:
    """Call this process `name`, for example `teleport`, `teleport-signer`; shown with its arguments.

    `arguments` are those of this process unless given: a helper passes none. Where the system does not allow it, the
    process keeps its old name.
    """
    shown = sys.argv[1:] if arguments is None else arguments
    with contextlib.suppress(OSError):
        _write_command_line([name, *shown])
    with contextlib.suppress(OSError), open("/proc/self/comm", "wb") as file:
        file.write(name.encode()[:_SHORT])


def _write_command_line(words: Sequence[str]) -> None:
    """Write over the words with which the process was started, as far as there is room."""
    with open("/proc/self/stat", "rb") as file:
        # The second field is in brackets and may hold anything; counting begins after it.
        fields = file.read().rpartition(b")")[2].split()
    start, end = (int(fields[number - 3]) for number in (_ARG_START, _ARG_END))
    text = b"\0".join(word.encode(errors="surrogateescape") for word in words)
    with open("/proc/self/mem", "r+b", buffering=0) as memory:
        memory.seek(start)
        memory.write(text[: end - start - 1].ljust(end - start, b"\0"))
