"""The name under which a process is found: `pidof teleport` shows the server and none of its helpers.

`pidof` compares the base name of argv[0] and the kernel's short name, which ends after 15 bytes. Both are
set; the rest of the command line stays readable in `ps`, because people look for the configuration file there.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import setproctitle


def set_name(name: str, arguments: Sequence[str] | None = None) -> None:
    """Call this process `name`, for example `teleport`, `teleport-signer`; shown with its arguments.

    `arguments` are those of this process unless given: a helper passes none.
    """
    shown = sys.argv[1:] if arguments is None else arguments
    setproctitle.setproctitle(" ".join([name, *shown]))
    setproctitle.setthreadtitle(name)
