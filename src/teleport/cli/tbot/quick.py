"""Commands of tbot that `ssh` starts for every connection: no click, no event loop, no reading of certificates.

What they cannot read is left to the full commands, which explain themselves.
"""

from __future__ import annotations

import os
import sys

from teleport.base.lean import Mapping, NamedTuple, Sequence

_VALUES = ("--destination-dir", "--proxy-server", "--cluster", "--user", "--host", "--port")
_SWITCHES = ("--tls-routing", "--no-tls-routing", "--connection-upgrade", "--resume", "--no-resume")
SSH_PORT = "3022"


class Call(NamedTuple):
    """A call of `tbot ssh-proxy-command`."""

    destination_dir: str
    proxy_server: str
    cluster: str
    host: str
    user: str = ""
    port: str = SSH_PORT
    upgrade: bool = False
    resume: bool = False


def ssh_proxy_command(arguments: Sequence[str]) -> int | None:
    """Connect standard input and output with a node; None if the arguments are not a plain call."""
    call = read_call(arguments)
    if call is None:
        return None
    connect(call, os.environ)
    return 0


def read_call(arguments: Sequence[str]) -> Call | None:
    """Return what the arguments ask for; None if they are not plain or not whole."""
    values, switches = dict[str, str](), set[str]()
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if name in _VALUES and (equals or rest):
            values[name[2:].replace("-", "_")] = value if equals else rest.pop(0)
        elif word in _SWITCHES:
            switches.add(word)
        else:
            return None
    if not all(values.get(name) for name in ("destination_dir", "proxy_server", "cluster", "host")):
        return None
    resume = "--resume" in switches and "--no-resume" not in switches
    return Call(**values, upgrade="--connection-upgrade" in switches, resume=resume)


def connect(call: Call, environment: Mapping[str, str]) -> None:
    """Do what the command is for. Raises what `client.output_folder`, `client.reach.reach` and `client.stdio.join`
    raise.

    With or without TLS routing: nodes are reached through the port of the proxy that also serves its pages."""
    from teleport.base.clock import SystemClock
    from teleport.base.disk import SystemDisk
    from teleport.client import output_folder
    from teleport.client.profile import between
    from teleport.client.reach import reach
    from teleport.client.resumption import OFF, carried, tell
    from teleport.client.stdio import join
    from teleport.wire.reach import Request

    variables, address = between(environment), call.proxy_server
    if not address.rpartition(":")[2].isdigit():
        from teleport.client.credentials import locate

        address = locate(address, variables)
    acting = output_folder.read(SystemDisk(), call.destination_dir, address, call.cluster)
    home, profile = acting.opened(variables, upgraded=call.upgrade)
    request = Request(f"{call.host}:{call.port}", call.cluster, call.user)
    with acting.in_use(call.user, SystemClock()):
        way = reach(home, profile, request)
    resume = call.resume and not environment.get(OFF)
    join(carried(way, home, profile, request, tell) if resume else way, sys.stdin.fileno(), sys.stdout.fileno())
