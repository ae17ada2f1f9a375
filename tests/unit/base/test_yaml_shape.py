"""Shapes of plain data: every fault, each entered part once."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from teleport.base import yaml_shape
from teleport.base.struct import Struct
from teleport.base.yaml_shape import Wrong, faults


class Inner(Struct, frozen=True, kw_only=True):
    count: Annotated[int, msgspec.Meta(ge=1)]
    pair: tuple[int, str] = (0, "")


class Outer(Struct, frozen=True, kw_only=True):
    inner: Inner | None = None
    any: Any = None
    by_name: dict[str, list[Inner]] = {}
    labels: dict[str, Any] = {}


class Strict(msgspec.Struct, frozen=True, kw_only=True):
    low: int = 0
    high: int = 0

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low is above high")


def test_every_fault_has_its_path() -> None:
    data = {
        "inner": {"count": 0, "pair": [1, 2]}, "any": {"x": [1]}, "labels": {"a": {"b": None}},
        "by_name": {"a": [{"pair": 1}, 5], "b": 7, "c": None}, "wrong": 1,
    }  # fmt: skip
    assert [(fault.path, fault.text) for fault in faults(data, Outer, ("at",))] == [
        (("at", "inner", "count"), "Expected `int` >= 1"),
        (("at", "inner", "pair", 1), "Expected `str`, got `int`"),
        (("at", "by_name", "a", 0), "Object missing required field `count`"),
        (("at", "by_name", "a", 0, "pair"), "Expected `list`, got `int`"),
        (("at", "by_name", "a", 1), "Expected `mapping`, got `int`"),
        (("at", "by_name", "b"), "Expected `list`, got `int`"),
        (("at", "wrong"), "unknown key"),
    ]


def test_what_only_the_whole_is_wrong_about_is_told() -> None:
    assert faults({"low": 2, "high": 1}, Strict) == [Wrong((), "low is above high")]
    assert faults({"low": 1, "high": 2, "other": 3}, Strict) == []


def test_a_part_that_is_not_there() -> None:
    assert yaml_shape.part({"a": [{"b": 1}]}, ("a", 0, "b")) == 1
    assert yaml_shape.part({"a": [{"b": 1}]}, ("a", 1, "b")) is None
    assert yaml_shape.part({"a": 5}, ("a", "b")) is None


def test_many_faults_cost_what_the_data_costs() -> None:
    data = {"by_name": {str(name): [{"count": "x"}, {"count": 1}] for name in range(20_000)}}
    assert len(faults(data, Outer)) == 20_000
