"""Static tokens: those of the configuration file, with what stands in the files that it names."""

from __future__ import annotations

import os
from collections.abc import Sequence

from teleport.base.disk import Disk
from teleport.model.config.static_token import StaticToken
from teleport.model.kinds.token import Token

_LIMIT = 4096


def read(entries: Sequence[StaticToken], disk: Disk) -> tuple[Token, ...]:
    """Return the tokens. Raises NotFound, AccessDenied or LimitExceeded (DISK-*) for a file that cannot be read, and
    BadParameter (CONFIG-STATIC-TOKEN, KIND-*) for one that holds no secret."""
    return tuple(entry.token(_secret(entry, disk)) for entry in entries)


def _secret(entry: StaticToken, disk: Disk) -> str:
    if not entry.is_path:
        return entry.value
    return disk.read(os.path.abspath(entry.value), limit=_LIMIT).decode(errors="replace").strip()
