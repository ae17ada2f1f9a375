"""Which machine this is, as evidence for the day on which a bot's certificates turn out to be in two places.

The id of the machine itself stays here, as machine-id(5) asks for: a digest of it, made for this purpose alone, leaves.
"""

from __future__ import annotations

import hashlib

from teleport.base.disk import Disk
from teleport.base.errors import TeleportError

PATH = "/etc/machine-id"
_PURPOSE = b"teleport bot\0"
_LONGEST = 100


def host_id(disk: Disk) -> str:
    """Return what stands for this machine, 32 characters; empty where it has no id."""
    try:
        found = disk.read(PATH, limit=_LONGEST).strip()
    except TeleportError:
        return ""
    return hashlib.sha256(_PURPOSE + found).hexdigest()[:32] if found else ""
