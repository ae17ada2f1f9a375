"""The table of join methods."""

from __future__ import annotations

from collections.abc import Mapping

from teleport.auth.join import token
from teleport.auth.join.method import Prove


def table() -> Mapping[str, Prove]:
    """Return every join method of this build by name. `model.kinds.token` refuses tokens of others."""
    return {"token": token.prove}
