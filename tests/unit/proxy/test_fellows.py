"""Who the proxies of the cluster are, and when that is another: in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from teleport.base import tasks
from teleport.model.kinds.proxy import Proxy
from teleport.model.resource import Metadata
from teleport.proxy.fellows import Fellows
from tests.support import virtual_loop


class View:
    """A copy of the cluster that tests change."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.revision = 1
        self.asked = 0
        self._changed = asyncio.Event()

    def proxies(self) -> Sequence[Proxy]:
        self.asked += 1
        return [Proxy(version="v2", metadata=Metadata(name=name)) for name in self.names]

    async def changed(self, seen: int) -> int:
        while self.revision == seen:
            await self._changed.wait()
        return self.revision

    def tell(self) -> None:
        self.revision += 1
        self._changed.set()
        self._changed = asyncio.Event()


def test_news_come_soon_and_expiries_too() -> None:
    async def main() -> None:
        view = View("two")
        fellows = Fellows(view, "one")
        following = tasks.spawn(fellows.follow(), name="follow", on_error=lambda _: None)
        assert fellows.ids == ("one", "two")
        assert await fellows.news(("one", "two"), 60.0) == ("one", "two"), "nothing has changed"
        view.names.append("three")
        view.tell()
        async with asyncio.timeout(1):
            assert await fellows.news(("one", "two"), 60.0) == ("one", "three", "two")
        view.names.remove("two")  # its record has ended: nobody tells of that
        async with asyncio.timeout(6):
            assert await fellows.news(("one", "three", "two"), 60.0) == ("one", "three")
        await tasks.cancel(following)

    virtual_loop.run(main())


def test_who_leaves_is_not_named_any_more() -> None:
    async def main() -> None:
        fellows = Fellows(View("one", "two"), "one")
        fellows.leave()
        assert fellows.ids == ("two",)
        assert await fellows.news(("one", "two"), 60.0) == ("two",)

    virtual_loop.run(main())


def test_the_record_of_another() -> None:
    fellows = Fellows(View("two"), "one")
    found = fellows.find("two")
    assert found is not None
    assert found.name == "two"
    assert fellows.find("one") is None


def test_heartbeats_of_many_nodes_are_not_each_looked_at() -> None:
    async def main() -> None:
        view = View()
        following = tasks.spawn(Fellows(view, "one").follow(), name="follow", on_error=lambda _: None)
        for _ in range(1000):
            view.tell()
            await asyncio.sleep(0.01)
        assert view.asked < 50
        await tasks.cancel(following)

    virtual_loop.run(main())
