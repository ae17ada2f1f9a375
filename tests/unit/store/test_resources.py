"""Typed resources over a store: every operation, its errors in people's words, and watches."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from teleport.base.clock import ManualClock
from teleport.base.errors import AlreadyExists, BadParameter, CompareFailed, Internal, NotFound, TeleportError
from teleport.base.struct import Secret, Struct
from teleport.model import resource as model
from teleport.model.resource import Metadata, Resource
from teleport.store.backend import Absent, Append, Check, Init, Put
from teleport.store.resources import ResourceChanged, ResourceRemoved, Resources

Run = Callable[..., Any]
HOUR = dt.timedelta(hours=1)


class GadgetSpec(Struct, frozen=True, kw_only=True):
    size: int = 0
    key: Secret = Secret("")


class Gadget(Resource[GadgetSpec], frozen=True, kw_only=True, tag="test_gadget"):
    pass


class Part(Resource[GadgetSpec], frozen=True, kw_only=True, tag="test_part"):
    pass


class Veteran(Resource[GadgetSpec], frozen=True, kw_only=True, tag="test_veteran"):
    @classmethod
    def upgrade(cls, document: dict[str, Any]) -> dict[str, Any]:
        spec = dict(document["spec"])
        if "length" in spec:
            spec["size"] = spec.pop("length")
        return {**document, "spec": spec}


class Only(Resource[GadgetSpec], frozen=True, kw_only=True, tag="test_only"):
    pass


@pytest.fixture(autouse=True)
def kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "_registry", dict(model._registry))
    model.kind(key="test_gadgets", versions=("v1",))(Gadget)
    model.kind(key="test_parts", versions=("v1",), by_sub_kind=True)(Part)
    model.kind(key="test_veterans", versions=("v1", "v2"))(Veteran)
    model.kind(key="test_onlys", versions=("v1",), singleton="the-only")(Only)


def gadget(name: str, size: int = 1, **metadata: Any) -> Gadget:
    return Gadget(version="v1", metadata=Metadata(name=name, **metadata), spec=GadgetSpec(size=size, key=Secret("s3")))


def part(sub_kind: str, name: str) -> Part:
    return Part(version="v1", sub_kind=sub_kind, metadata=Metadata(name=name), spec=GadgetSpec())


async def failure(work: Any, cls: type[TeleportError]) -> TeleportError:
    with pytest.raises(cls) as caught:
        await work
    return caught.value


def test_a_resource_comes_back_whole_with_its_revision_and_secrets(run: Run, clock: ManualClock) -> None:
    async def body(backend: Any) -> None:
        resources = Resources(backend, clock)
        created = await resources.create(gadget("one", labels={"a": "b"}, expires=clock.now() + HOUR))
        assert created.metadata.revision == str((await backend.get("/test_gadgets/one")).revision)
        for kind in (Gadget, Gadget.info, "test_gadget"):
            assert await resources.get(kind, "one") == created
        assert created.spec.key.reveal() == "s3"
        assert b"revision" not in (await backend.get("/test_gadgets/one")).value

    run(body)


def test_creating_never_replaces(run: Run, clock: ManualClock) -> None:
    async def body(backend: Any) -> None:
        resources = Resources(backend, clock)
        await resources.create(gadget("one"))
        error = await failure(resources.create(gadget("one", 2), Append("log", b"x")), AlreadyExists)
        assert error.code == "STORE-RESOURCE-EXISTS"
        assert error.what == 'test_gadget "one" already exists'
        assert "use -f or --force flag to overwrite" in error.fix
        assert await backend.logs() == []
        await resources.upsert(gadget("one", 3), Append("log", b"x"))
        assert (await resources.get(Gadget, "one")).spec.size == 3
        assert len(await backend.logs()) == 1

    run(body)


def test_an_update_needs_the_revision_that_was_read(run: Run, clock: ManualClock) -> None:
    async def body(backend: Any) -> None:
        resources = Resources(backend, clock)
        first = await resources.create(gadget("one"))
        second = await resources.update(first.with_metadata(description="new"))
        assert (await resources.get(Gadget, "one")).metadata.description == "new"
        foreign = second.metadata.revision.translate({48 + digit: 0x660 + digit for digit in range(10)})
        for stale in (first, gadget("one"), *(first.with_metadata(revision=text) for text in ("x", "-1", foreign))):
            error = await failure(resources.update(stale), CompareFailed)
            assert error.code == "STORE-COMPARE"
            assert "resource has been modified since it was read" in error.what
        assert await resources.get(Gadget, "one") == second
        error = await failure(resources.update(gadget("none", revision="1")), NotFound)
        assert error.what == 'test_gadget "none" not found'

    run(body)


def test_deleting_asks_for_something_to_delete(run: Run, clock: ManualClock) -> None:
    async def body(backend: Any) -> None:
        resources = Resources(backend, clock)
        created = await resources.create(gadget("one"))
        stale = await failure(resources.delete(Gadget, "one", revision="999"), CompareFailed)
        assert stale.code == "STORE-COMPARE"
        await resources.delete(Gadget, "one", Append("log", b"x"), revision=created.metadata.revision)
        error = await failure(resources.delete(Gadget, "one", Append("log", b"y")), NotFound)
        assert (error.code, error.fields) == ("STORE-RESOURCE-NOT-FOUND", {"kind": "test_gadget", "name": "one"})
        assert [record.data for record in await backend.read_log("log")] == [b"x"]
        assert (await failure(resources.get(Gadget, "one"), NotFound)).code == "STORE-RESOURCE-NOT-FOUND"

    run(body)


def test_conditions_of_extra_operations_keep_their_own_words(run: Run, clock: ManualClock) -> None:
    async def body(backend: Any) -> None:
        resources = Resources(backend, clock)
        await backend.commit(Put("/other", b""))
        error = await failure(resources.create(gadget("one"), Check("/other", Absent())), AlreadyExists)
        assert error.code == "STORE-EXISTS"
        assert await resources.list(Gadget) == []

    run(body)


def test_several_resources_go_into_one_commit(run: Run, clock: ManualClock) -> None:
    async def body(backend: Any) -> None:
        resources = Resources(backend, clock)
        await resources.create(gadget("one"), resources.put_op(part("a", "p"), Absent()))
        assert (await resources.get(Part, "p", "a")).sub_kind == "a"

    run(body)


def test_lists_are_in_order_and_in_pages(run: Run, clock: ManualClock) -> None:
    async def body(backend: Any) -> None:
        resources = Resources(backend, clock)
        for name in ("b", "a", "c", "a-1"):
            await resources.create(gadget(name))
        await resources.create(part("y", "1"))
        await resources.create(part("x", "2"))
        assert [each.name for each in await resources.list(Gadget)] == ["a", "a-1", "b", "c"]
        assert [each.name for each in await resources.list("test_gadget", "a", 2)] == ["a-1", "b"]
        assert [each.name for each in await resources.list(Part)] == ["2", "1"]
        assert [each.name for each in await resources.list(Part, sub_kind="y")] == ["1"]
        assert [each.name for each in await resources.list(Part, "x/2")] == ["1"]
        assert (await failure(resources.list(Part, sub_kind="../x"), BadParameter)).code == "STORE-RESOURCE-NAME"

    run(body)


def test_expiry_is_the_metadatas(run: Run, clock: ManualClock) -> None:
    async def body(backend: Any) -> None:
        resources = Resources(backend, clock)
        await resources.create(gadget("one", expires=clock.now() + HOUR))
        clock.advance(HOUR)
        assert (await failure(resources.get(Gadget, "one"), NotFound)).code == "STORE-RESOURCE-NOT-FOUND"
        error = await failure(resources.create(gadget("one", expires=clock.now())), BadParameter)
        assert error.code == "STORE-RESOURCE-EXPIRED"
        naive = gadget("one", expires=dt.datetime(2040, 1, 1))
        assert (await failure(resources.create(naive), BadParameter)).code == "STORE-VALUE"

    run(body)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a/b", "../a", "a\\b", " a", "a ", "a\nb", "a\x00", "a\u202eb", "\ud800", "x" * 257],
    ids=ascii,
)
def test_names_that_play_with_paths_are_refused(run: Run, clock: ManualClock, name: str) -> None:
    async def body(backend: Any) -> None:
        resources = Resources(backend, clock)
        for work in (
            resources.create(gadget(name)),
            resources.upsert(part(name, "a")),
            resources.update(gadget(name, revision="1")),
            resources.delete(Gadget, name),
            resources.get(Gadget, name),
            resources.get(Part, "a", name),
        ):
            assert (await failure(work, BadParameter)).code == "STORE-RESOURCE-NAME"

    run(body)


@pytest.mark.parametrize("name", ["joe@example.com", "älter", "a b", "...", "x" * 256, "CN=a,O=b", "%2e%2e", "-f"])
def test_names_that_people_use_are_accepted(run: Run, clock: ManualClock, name: str) -> None:
    async def body(backend: Any) -> None:
        resources = Resources(backend, clock)
        assert (await resources.create(gadget(name))).name == name
        assert (await resources.get(Gadget, name)).name == name

    run(body)


def test_text_that_is_no_unicode_is_refused(run: Run, clock: ManualClock) -> None:
    async def body(backend: Any) -> None:
        work = Resources(backend, clock).create(gadget("a", description="\ud800"))
        assert (await failure(work, BadParameter)).code == "STORE-VALUE"

    run(body)


def test_a_kind_that_exists_once_needs_no_name(run: Run, clock: ManualClock) -> None:
    async def body(backend: Any) -> None:
        resources = Resources(backend, clock)
        assert 'test_only "the-only" not found' in str(await failure(resources.get(Only, ""), NotFound))
        await resources.create(Only(version="v1", metadata=Metadata(name="the-only"), spec=GadgetSpec()))
        assert (await resources.get(Only, "")).name == "the-only"

    run(body)


def test_what_an_older_build_wrote_is_upgraded_when_read(run: Run, clock: ManualClock) -> None:
    async def body(backend: Any) -> None:
        old = b'{"kind":"test_veteran","version":"v1","metadata":{"name":"a"},"spec":{"length":7}}'
        await backend.commit(Put("/test_veterans/a", old))
        assert (await Resources(backend, clock).get(Veteran, "a")).spec.size == 7

    run(body)


@pytest.mark.parametrize("value", [b"", b"\xff", b"{}", b"[]", b'{"kind":"test_veteran","version":"v9","spec":{}}'])
@pytest.mark.parametrize(("cls", "key"), [(Gadget, "test_gadgets"), (Veteran, "test_veterans")])
def test_a_damaged_resource_is_named_and_never_skipped(
    run: Run, clock: ManualClock, value: bytes, cls: Any, key: str
) -> None:
    async def body(backend: Any) -> None:
        resources = Resources(backend, clock)
        await backend.commit(Put(f"/{key}/bad", value))
        for work in (resources.get(cls, "bad"), resources.list(cls)):
            error = await failure(work, Internal)
            assert error.code == "STORE-RESOURCE-DAMAGED"
            assert error.fields["name"] == "bad"

    run(body)


def test_a_watch_tells_of_its_kinds_in_types(run: Run, clock: ManualClock) -> None:
    async def body(backend: Any) -> None:
        resources = Resources(backend, clock)
        async with resources.watch(Gadget, "test_part") as events:
            assert isinstance(await anext(events), Init)
            one = await resources.create(gadget("one"))
            await resources.create(Only(version="v1", metadata=Metadata(name="the-only"), spec=GadgetSpec()))
            two = await resources.create(part("x", "p"))
            revisions = [await resources.delete(Part, "p", sub_kind="x"), await resources.delete(Gadget, "one")]
            assert await anext(events) == ResourceChanged(one)
            assert await anext(events) == ResourceChanged(two)
            assert await anext(events) == ResourceRemoved("test_part", "p", "x", revisions[0])
            assert await anext(events) == ResourceRemoved("test_gadget", "one", "", revisions[1])

    run(body)
