"""The library of primitives by its shortest way: the half in Rust, without the half in Python around it.

`cryptography.hazmat.primitives` asks a backend whether it can do what every build of the library does, and importing
that takes longer than signing in to a node. What is here is for commands that must start at once; all others use the
library's front door. The classes are the same: the front door hands out these very objects.

Its own checks are repeated where they matter (`pki.keys`). Docs: docs/adr/0016-lean-start.md.
"""

from __future__ import annotations

from cryptography.hazmat.bindings._rust import openssl as library

__all__ = ["is_wrong", "library"]


def is_wrong(error: Exception) -> bool:
    """Say whether the library means by an error that a signature or tag is wrong; anything else is a defect."""
    from cryptography.exceptions import InvalidSignature, InvalidTag  # costs as much as the primitives themselves

    return isinstance(error, (InvalidSignature, InvalidTag))
