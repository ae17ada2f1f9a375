"""Join method token: whoever knows the name of the token may join. There is nothing more to prove."""

from __future__ import annotations

from teleport.auth.join.method import Proven, Request


async def prove(request: Request) -> Proven:
    """Return that nothing more was proven: the name was looked up already."""
    return Proven()
