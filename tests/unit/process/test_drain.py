"""Listeners that stop accepting while their connections go on, on a network in memory."""

import asyncio
from contextlib import suppress

from teleport.base.errors import Unavailable
from teleport.net.memory_network import MemoryNetwork
from teleport.process.drain import DrainableNetwork


class House:
    """A network with a service that echoes until told to end."""

    def __init__(self, **options):
        self.memory = MemoryNetwork()
        self.network = DrainableNetwork(self.memory, **options)
        self.release = asyncio.Event()
        self.errors = []

    async def serve(self, stream):
        await stream.write(b"hello")
        await self.release.wait()

    async def listen(self, address):
        return await self.network.listen(address, self.serve)

    async def connect(self, address):
        stream = await self.network.dial(address)
        assert await stream.read(5) == b"hello"
        return stream


async def refused(network, address):
    with suppress(Unavailable):
        await network.dial(address)
        return False
    return True


def test_draining_waits_for_what_is_open():
    async def body():
        house = House()
        listener = await house.listen("a:1")
        await house.connect("a:1")
        assert house.network.open() == {"a:1": 1}
        serving = asyncio.get_running_loop().create_task(listener.serve_forever())
        house.network.drain(60.0, house.errors.append)
        await asyncio.sleep(0)
        assert await refused(house.network, "a:1")
        assert house.network.open() == {"a:1": 1}
        assert not serving.done()  # its service still believes it open
        house.release.set()
        for _ in range(5):
            await asyncio.sleep(0)
        assert house.network.open() == {}
        await listener.close()
        await serving
        assert house.network.connections() == {}
        assert house.errors == []

    asyncio.run(body())


def test_what_is_open_after_the_bound_is_cut():
    async def body():
        house = House()
        await house.listen("a:1")
        stream = await house.connect("a:1")
        house.network.drain(0.0, house.errors.append)
        assert await stream.read(1) == b""
        assert house.network.open() == {}

    asyncio.run(body())


def test_unix_sockets_and_kept_addresses_stay_open():
    async def body():
        house = House(kept=("auth:3025",))
        for address in ("unix:/run/debug.sock", "auth:3025", "web:443"):
            await house.listen(address)
        house.network.drain(0.0, house.errors.append)
        await asyncio.sleep(0)
        await house.connect("unix:/run/debug.sock")
        await house.connect("auth:3025")
        assert await refused(house.network, "web:443")
        assert house.network.open() == {}
        assert house.network.draining

    asyncio.run(body())


def test_what_is_opened_while_draining_serves_nobody():
    async def body():
        house = House()
        house.network.drain(60.0, house.errors.append)
        await house.listen("late:1")
        await asyncio.sleep(0)
        assert await refused(house.network, "late:1")

    asyncio.run(body())


def test_a_stopped_service_cuts_soon():
    async def body():
        house = House(cut=0.01)
        listener = await house.listen("a:1")
        stream = await house.connect("a:1")
        await listener.close()
        assert await stream.read(1) == b""

    asyncio.run(body())


def test_closing_in_the_middle_of_a_drain_ends_it():
    async def body():
        house = House(cut=0.0)
        listener = await house.listen("a:1")
        await house.connect("a:1")
        house.network.drain(3600.0, house.errors.append)
        await asyncio.sleep(0)
        await asyncio.wait_for(listener.close(), 5)
        assert len(listener) == 0

    asyncio.run(body())


def test_connections_that_are_spare_are_told_and_not_waited_for():
    """As tunnels of agents are: they came to a listener, and are of no use without the connections of others."""

    class Tunnels:
        address, waited_for, spare, drained = "tunnels", False, True, 0

        def __len__(self):
            return 1

        def drain(self, bound, on_error):
            self.drained += 1

    async def body():
        house, tunnels = House(), Tunnels()
        listener = await house.listen("a:1")
        house.network.add(tunnels)
        agent = await house.connect("a:1")
        assert house.network.open() == {}, "only the one that is spare"
        user = await house.connect("a:1")
        assert house.network.open() == {"a:1": 2}
        house.network.drain(60.0, house.errors.append)
        assert tunnels.drained == 1
        house.network.add(late := Tunnels())
        assert late.drained == 1
        for stream in (user, agent):
            await stream.close()
        house.release.set()
        await listener.close()

    asyncio.run(body())
