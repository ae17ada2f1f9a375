"""Names of files in destinations, and the test that one can be written to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from teleport.base.errors import BadParameter, TeleportError

WRITE_TEST = ".write-test"
"""An empty file that is written before each generation."""


def split(name: str) -> tuple[str, str]:
    """Return folder and file of a name: `("", "key")`, `("cockroach", "node.key")`. Raises BadParameter
    (DEST-NAME): parts of names come from elsewhere, names of clusters for example."""
    parts = name.split("/")
    if len(parts) > 2 or any(part in ("", ".", "..") or "\0" in part for part in parts) or len(parts[-1]) > 200:
        raise BadParameter("DEST-NAME", name=name[:300])
    return ("", parts[0]) if len(parts) == 1 else (parts[0], parts[1])


@contextmanager
def testing(destination: object) -> Iterator[None]:
    """Say of whatever fails in the block that the destination cannot be written to (DEST-WRITE)."""
    try:
        yield
    except TeleportError as error:
        raise type(error)(
            "DEST-WRITE", destination=destination, problem=error.what, cause=error.why, fix=error.fix
        ) from error
