"""What this machine gives a bot: the clock, the disk, the network, and where its files go."""

from __future__ import annotations

import os
import socket
import sys

from teleport.base.clock import SystemClock
from teleport.base.disk import SystemDisk
from teleport.base.entropy import SystemEntropy
from teleport.bot import destinations
from teleport.bot.run import World
from teleport.net.network import SystemNetwork


def world(*, legacy: bool = False) -> World:
    """Return it. `legacy`: see World."""
    environment, entropy = dict(os.environ), SystemEntropy()
    return World(
        clock=SystemClock(), entropy=entropy, disk=SystemDisk(entropy), network=SystemNetwork(),
        environment=environment, host_name=socket.gethostname(), tbot=os.path.abspath(sys.argv[0]), legacy=legacy,
        destination=lambda section: destinations.make(section, entropy=entropy, environment=environment),
    )  # fmt: skip
