"""The program that bpftrace(8) runs in the kernel: what it says of processes in the sessions' control groups.

It learns of the groups from the kernel itself, by their path, and is silent about everything else. A line holds
numbers first and one text last, because a text may hold anything; what belongs to one `execve` has its thread in
common.

    M group                                    a session's control group was made
    E thread pid parent group program path     execve begins
    A thread number argument                   one of its arguments
    R thread result                            it ended
    D pid parent group flags result program path   a file was opened for writing, or made
    N pid group program version from to port   a TCP connection begins

`program` is the name of the process in 16 columns. Paths of files are read after the call: before it the page in which
they stand may not be in memory, where a program in the kernel cannot fetch it.
"""

from __future__ import annotations

import re

from teleport.base.errors import BadParameter

TEXT_BYTES = 160
"""Longest part of a path or argument: what is printed at once must fit the 512 bytes of a BPF stack."""
ARGUMENTS = 20
"""Arguments of one command that are told."""
GROUP = re.compile(r"(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+")
"""Paths of control groups that may stand in the program."""

_WRITES = "0x43"
"""O_WRONLY, O_RDWR and O_CREAT (open(2)), as every architecture of Linux served here has them."""
_PARENT = "((struct task_struct *)curtask)->real_parent->tgid"


def program(root: str) -> str:
    """Return the program for control groups below `root`, a path within the hierarchy that fits GROUP. Raises
    BadParameter (SSH-SPAWN-MESSAGE) for any other."""
    if GROUP.fullmatch(root) is None:
        raise BadParameter("SSH-SPAWN-MESSAGE", problem="no path of control groups")
    below = f"{root}/"
    opened = "".join(
        f"tracepoint:syscalls:sys_enter_{call} /@s[cgroup] && ({flags} & {_WRITES})/ {{ "
        f"@path[tid] = (uint64)args->filename; @flags[tid] = (uint64){flags}; }}\n"
        f"tracepoint:syscalls:sys_exit_{call} /@path[tid]/ {{ "
        f'printf("D %d %d %llu %llx %d %-16s%s", pid, {_PARENT}, cgroup, @flags[tid], args->ret, comm, '
        "str(@path[tid])); "
        "delete(@path[tid]); delete(@flags[tid]); }\n"
        for call, flags in (("openat", "args->flags"), ("openat2", "args->how->flags"))
    )
    return (
        f'tracepoint:cgroup:cgroup_mkdir {{ if (strncmp(str(args->path), "{below}", {len(below)}) == 0) {{ '
        '@s[args->id] = 1; printf("M %llu", args->id); } }\n'
        "tracepoint:cgroup:cgroup_rmdir { delete(@s[args->id]); }\n"
        "tracepoint:syscalls:sys_enter_execve /@s[cgroup]/ { "
        f'printf("E %d %d %d %llu %-16s%s", tid, pid, {_PARENT}, cgroup, comm, str(args->filename)); '
        f"{_arguments()} }}\n"
        'tracepoint:syscalls:sys_exit_execve /@s[cgroup]/ { printf("R %d %d", tid, args->ret); }\n'
        f"{opened}"
        f"tracepoint:sock:inet_sock_set_state /@s[cgroup] && args->newstate == 2/ {{ if (args->family == 2) {{ "
        f"{_connection(4, 2, '')} }} else {{ {_connection(6, 10, '_v6')} }} }}\n"
        "END { clear(@s); clear(@path); clear(@flags); }\n"
    )


def _arguments() -> str:
    text = ""
    for number in reversed(range(ARGUMENTS)):
        said = f'printf("A %d {number} %s", tid, str(args->argv[{number}]));'
        text = f"if ((uint64)args->argv[{number}] != 0) {{ {said} {text} }}"
    return text


def _connection(version: int, family: int, suffix: str) -> str:
    return (
        f'printf("N %d %llu %-16s{version} %s %s %d", pid, cgroup, comm, '
        f"ntop({family}, args->saddr{suffix}), ntop({family}, args->daddr{suffix}), args->dport);"
    )
