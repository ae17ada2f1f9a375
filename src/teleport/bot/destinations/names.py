"""Names of files in destinations, what they say of a place, and the test that one can be written to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from teleport.base.errors import BadParameter, TeleportError

WRITE_TEST = ".write-test"
"""An empty file that is written before each generation."""

OF_STORAGE = ("tokenhash", "identity.next")
"""Files that nothing but the storage of a bot has. The second one is there before its first certificates."""


def keep_off(destination: object, names: Collection[str], has: Callable[[str], bool]) -> None:
    """Refuse a place where a bot keeps itself (BadParameter DEST-STORAGE) unless its own files are among the `names`
    of what may come: certificates of an output in their place would leave the bot without a way back."""
    if names and not {*OF_STORAGE} & {*names} and any(has(name) for name in OF_STORAGE):
        raise BadParameter("DEST-STORAGE", destination=destination)


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
