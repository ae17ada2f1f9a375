"""The admin socket: `tctl` on the auth host, without signing in.

`<data_dir>/admin.sock` has mode 0600, and the kernel says who is at the other end: root or the owner of
the data directory is `admin@<host>`, anybody else is told why not. Behind it are the same methods, checks
and audit events as everywhere.
"""

from __future__ import annotations

from pathlib import Path

from teleport.api.caller import local_administrator
from teleport.auth.service import AuthService
from teleport.base.clock import Clock
from teleport.base.log import logger
from teleport.net.listen import Listener
from teleport.net.network import Network
from teleport.net.stream import Stream

log = logger("AUTH")

NAME = "admin.sock"


async def listen(
    network: Network, service: AuthService, data_dir: Path, *, owner: int, host: str, clock: Clock
) -> Listener:  # fmt: skip
    """Open the socket; `owner` is the user id that the data directory belongs to.

    Raises what `Network.listen` raises.
    """

    async def serve(stream: Stream) -> None:
        caller = local_administrator(stream.peer, owner=owner, host=host, cluster=service.cluster, clock=clock)
        if caller.refusal is not None:
            log.warn("The admin socket refused a caller", uid=stream.peer.uid, pid=stream.peer.pid)
        await service.serve(stream, caller)

    return await network.listen(f"unix:{data_dir / NAME}", serve)
