"""The spawner's part in enhanced recording: it starts bpftrace(8) as root, and keeps the control groups of sessions.

What bpftrace prints goes to the service, not here: it is full of what users choose. bpftrace ends with the spawner,
whatever happens to that (prctl(2), PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

from teleport.agents.ssh import spawner_messages as messages
from teleport.agents.ssh.cgroups import Groups
from teleport.agents.ssh.enhanced.program import GROUP, TEXT_BYTES, program
from teleport.base.errors import BadParameter, Unavailable

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
MOST_PAGES = 4096
_SCRIPT = (
    "mount --make-rprivate / && { test -d /sys/kernel/tracing/events || mount -t tracefs none /sys/kernel/tracing; } "
    '&& exec bpftrace -f json -B line -e "$1"'
)
"""Tracepoints are found in tracefs, which is mounted for bpftrace alone where the machine has not done it."""


class Tracer:
    """At most one bpftrace, and the groups of sessions."""

    def __init__(self) -> None:
        self._groups: Groups | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, request: messages.Observe, descriptors: Sequence[int]) -> None:
        """Start bpftrace, in place of one that runs. Its output goes to the descriptor.

        Raises Unavailable (SSH-BPF-RIGHTS, SSH-BPF-TOOL, SSH-BPF-CGROUP), BadParameter (SSH-SPAWN-MESSAGE).
        """
        if len(descriptors) != 1 or not GROUP.fullmatch(request.root) or not GROUP.fullmatch(request.mount):
            raise BadParameter("SSH-SPAWN-MESSAGE", problem="what enhanced recording needs")
        if not 0 < request.pages <= MOST_PAGES:
            raise BadParameter("SSH-SPAWN-MESSAGE", problem="the number of pages")
        if os.geteuid() != 0:
            raise Unavailable("SSH-BPF-RIGHTS")
        for tool in ("bpftrace", "unshare", "setpriv"):
            if shutil.which(tool, path=PATH) is None:
                raise Unavailable("SSH-BPF-TOOL", tool=tool)
        self.stop()
        self._groups = Groups(request.mount, request.root)
        self._groups.prepare()
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "sh", "-c", _SCRIPT, "sh", program(request.root)],
            stdin=subprocess.DEVNULL, stdout=descriptors[0], stderr=descriptors[0], cwd="/", env=environment(request),
        )  # fmt: skip

    @property
    def groups(self) -> Groups:
        """The groups. Raises Unavailable (SSH-BPF-CGROUP) before `start`."""
        if self._groups is None:
            raise Unavailable("SSH-BPF-CGROUP", path="", problem="enhanced recording is not on")
        return self._groups

    def stop(self) -> None:
        """End bpftrace and take the groups away."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._groups is not None:
            self._groups.close()


def environment(request: messages.Observe) -> dict[str, str]:
    """Return what bpftrace is told by its environment. Its buffer is one for all, a power of two."""
    return {
        "PATH": PATH,
        "LANG": "C.UTF-8",
        "BPFTRACE_STRLEN": str(TEXT_BYTES),
        "BPFTRACE_PERF_RB_PAGES": str(1 << (request.pages - 1).bit_length()),
    }
