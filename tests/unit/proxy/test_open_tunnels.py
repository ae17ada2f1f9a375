"""How tunnels end when a proxy stops: in virtual time."""

from __future__ import annotations

import asyncio

from teleport.base import tasks
from teleport.base.errors import TeleportError
from teleport.net.memory import memory_pair
from teleport.net.tunnel import Tunnel
from teleport.proxy.open_tunnels import OpenTunnels
from tests.support import virtual_loop


def test_a_tunnel_ends_with_the_last_that_is_open_in_it() -> None:
    async def main() -> None:
        near, far = memory_pair()
        mine, theirs, left, failures = Tunnel(near), Tunnel(far), list[str](), list[BaseException]()
        held = OpenTunnels("tunnels", lambda: left.append("leaving"))
        held.add(mine)
        dialled = tasks.spawn(mine.dial(b""), name="dial", on_error=failures.append)
        async for call in theirs.accept():
            other = await call.answer()
            break
        stream = await dialled
        assert (len(held), held.address, held.waited_for, held.draining) == (1, "tunnels", True, False)
        held.drain(60.0, failures.append)
        await theirs.doubt(True)
        assert theirs.retiring
        await asyncio.sleep(60)
        assert (theirs.reason, held.draining, left) == (None, True, ["leaving"])
        await stream.close()
        await other.close()
        assert isinstance(await theirs.closed(), TeleportError)
        held.discard(mine)
        assert (len(held), failures) == (0, [])

    virtual_loop.run(main())


def test_a_tunnel_that_the_proxy_itself_uses_stays() -> None:
    async def main() -> None:
        near, far = memory_pair()
        mine, theirs = Tunnel(near), Tunnel(far)
        held = OpenTunnels("tunnels", used=True)
        held.add(mine)
        assert (held.waited_for, held.spare) == (False, True)
        held.drain(60.0, lambda _: None)
        await theirs.doubt(True)
        await asyncio.sleep(60)
        assert (theirs.reason, theirs.retiring) == (None, True)
        for tunnel in (mine, theirs):
            await tunnel.close("over")

    virtual_loop.run(main())


def test_one_that_comes_too_late_ends_at_once() -> None:
    async def main() -> None:
        near, far = memory_pair()
        held = OpenTunnels("tunnels", used=True)
        held.drain(60.0, lambda _: None)
        theirs = Tunnel(far)
        held.add(Tunnel(near))
        await theirs.closed()

    virtual_loop.run(main())
