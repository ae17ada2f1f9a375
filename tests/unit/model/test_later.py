from __future__ import annotations

from typing import Annotated, Any

import pytest

from teleport.base.errors import NotSupported
from teleport.base.struct import Duration, Struct
from teleport.model.later import Later, Unacted, UnactedSwitch, check_later, dotted, is_off, leaves, refusals


class Inner(Struct, frozen=True, kw_only=True):
    name: str = ""
    later: Unacted = None


class Outer(Struct, frozen=True, kw_only=True):
    name: str = ""
    switch: UnactedSwitch = None
    ttl: Annotated[Any, Later((Duration(60),))] = None
    storage: Annotated[Any, Later(({"type": "sqlite"},))] = None
    word: Annotated[Any, Later(("a", "b"))] = None
    one: Inner = Inner()
    maybe: Inner | None = None
    several: tuple[Inner, ...] = ()
    free: dict[str, Inner] = {}


def paths(data: object) -> list[str]:
    return [dotted(refusal.path) for refusal in refusals(Outer, data)]


@pytest.mark.parametrize(
    "data",
    [
        {}, {"switch": False}, {"switch": "no"}, {"switch": "off"}, {"switch": None}, {"ttl": "1m"}, {"ttl": 60},
        {"storage": {"type": "sqlite"}}, {"storage": {}}, {"word": "a"}, {"one": {"later": []}}, {"one": None},
        {"one": {"later": {"enabled": "no", "x": 1}}}, {"free": {"later": {"later": 1}}}, {"several": [{"later": ""}]},
    ],
)  # fmt: skip
def test_what_changes_nothing_is_let_through(data: dict[str, Any]) -> None:
    assert paths(data) == []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"switch": True}, ["switch"]),
        ({"switch": "perhaps"}, ["switch"]),
        ({"ttl": "2m"}, ["ttl"]),
        ({"ttl": "soon"}, ["ttl"]),
        ({"storage": {"type": "sqlite", "path": "/x"}}, ["storage"]),
        ({"storage": {"type": "etcd"}}, ["storage"]),
        ({"word": True}, ["word"]),
        ({"one": {"later": 0}, "maybe": {"later": {"enabled": True}}}, ["one.later", "maybe.later"]),
        ({"several": [{}, {"later": False}]}, ["several[1].later"]),
    ],
)
def test_what_would_change_something_is_refused(data: dict[str, Any], expected: list[str]) -> None:
    assert paths(data) == expected


def test_a_struct_is_looked_at_like_the_map_it_is_made_from() -> None:
    assert paths(Outer(one=Inner(later=1), several=(Inner(later="x"),))) == ["one.later", "several[0].later"]


def test_the_error_names_kind_field_and_what_is_supported() -> None:
    with pytest.raises(NotSupported) as caught:
        check_later("thing", Outer(storage={"type": "etcd"}))
    assert caught.value.code == "KIND-FIELD-NOT-SUPPORTED"
    assert "thing: spec.storage" in caught.value.what
    assert "{type: sqlite}" in caught.value.what
    assert Later().supported == "leaving it out"
    assert Later((False, True)).supported == "no or yes"


def test_is_off() -> None:
    assert [is_off(value) for value in (False, "no", "0", True, "yes", "x", 3)] == [True, True, True] + [False] * 4


def test_marks_that_look_equal_are_kept_apart() -> None:
    class Both(Struct, frozen=True, kw_only=True):
        switch: Annotated[Any, Later((False,))] = None
        ttl: Annotated[Any, Later((Duration(0),))] = None

    assert list(refusals(Both, {"switch": "no", "ttl": "never"})) == []


def test_leaves_are_all_fields_with_their_defaults() -> None:
    found = {".".join(leaf.path): (leaf.later is None, leaf.default) for leaf in leaves(Outer)}
    assert found == {
        "name": (True, ""), "switch": (False, None), "ttl": (False, None), "storage": (False, None),
        "word": (False, None), "one.name": (True, ""), "one.later": (False, None), "maybe.name": (True, ""),
        "maybe.later": (False, None), "several[].name": (True, ""), "several[].later": (False, None),
        "free": (True, None),
    }  # fmt: skip
