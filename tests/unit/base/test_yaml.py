"""YAML: positions, bounds, scalars as people write them, all problems at once."""

import datetime as dt
from typing import Any

import msgspec
import pytest

from teleport.base import yaml
from teleport.base.errors import BadParameter
from teleport.base.struct import Duration, Secret, Struct, Switch


class Aws(Struct, frozen=True, kw_only=True, tag_field="type", tag="aws"):
    region: str


class Azure(Struct, frozen=True, kw_only=True, tag_field="type", tag="azure"):
    tenant_id: str = ""


class Service(Struct, frozen=True, kw_only=True):
    enabled: Switch = Switch(False)
    discovery_group: str = ""
    poll: Duration = Duration(0)
    limits: list[int] = []


class Open(msgspec.Struct):
    known: int = 0


class Config(Struct, frozen=True, kw_only=True):
    service: Service | None = None
    named: dict[str, Service] = {}
    several: list[Service] = []
    cloud: Aws | Azure | None = None
    either: str | list[Service] = ""
    fixed: tuple[Service, ...] = ()
    since: dt.datetime | None = None
    token: Secret = Secret("")
    free: dict[str, Any] = {}
    numbers: dict[str, int] = {}
    open: Open | None = None


def one(text: str) -> yaml.Document:
    (document,) = yaml.documents(text, "teleport.yaml")
    return document


def complaints(text: str) -> list[str]:
    return [str(problem) for problem in yaml.problems(one(text), Config)]


def refused(text: str) -> BadParameter:
    with pytest.raises(BadParameter) as caught:
        yaml.documents(text, "f")
    return caught.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True), ("Off", False), ("'yes'", "yes"), ("~", None), ("null", None), ("0x1F", 31), ("0600", 384),
        ("-12_000", -12000), ("+7", 7), ("0b101", 5), ("0", 0), ("1.5", 1.5), ("-.inf", float("-inf")),
        ("22:22", "22:22"),        ("1:30.5", "1:30.5"), ("2024-01-01", "2024-01-01"),
        ("2024-01-01T10:00:00Z", "2024-01-01T10:00:00Z"),
        ("!!str 5", "5"), ("=", "="), ("08", "08"), ("'*'", "*"), ("30m", "30m"),
    ],
)  # fmt: skip
def test_scalars_mean_what_the_documentation_writes(text, value):
    assert one(f"a: {text}").data == {"a": value}


def test_keys_are_text_as_written():
    assert one("on: 1\n5: 2\n~: 3").data == {"on": 1, "5": 2, "~": 3}


def test_several_documents_and_empty_ones():
    found = yaml.documents("---\na: 1\n---\n---\n# nothing\n---\nb: 2\n", "f")
    assert [document.data for document in found] == [{"a": 1}, {"b": 2}]
    assert found[1].where(("b",)) == "f:7:1"
    assert yaml.documents("", "f") == []


def test_byte_order_mark_is_ignored():
    assert one("\ufeffa: 1").data == {"a": 1}


def test_positions_of_keys_entries_and_missing_things():
    document = one("a:\n  - x: 1\n    y: 2\n  - z\n")
    assert document.where() == "teleport.yaml:1:1"
    assert document.where(("a", 0, "y")) == "teleport.yaml:3:5"
    assert document.where(("a", 1)) == "teleport.yaml:4:5"
    assert document.where(("a", 7, "q")) == "teleport.yaml:1:1"


def test_aliases_and_merges():
    document = one("base: &b {x: 1, y: 2}\nmore: {<<: *b, y: 3}\nboth: {<<: [*b, {z: 4}]}\nsame: *b")
    assert document.data["more"] == {"x": 1, "y": 3}
    assert document.data["both"] == {"x": 1, "y": 2, "z": 4}
    assert document.data["same"] == {"x": 1, "y": 2}
    assert document.where(("more", "x")) == "teleport.yaml:1:11"


@pytest.mark.parametrize(
    ("text", "where", "problem"),
    [
        ("a: 1\nb: [", "f:3:1", "node content"),
        ("a: 1\na: 2", "f:2:1", "given twice, first in line 1"),
        ("x: !!python/object/apply:os.system [id]", "f:1:4", "not allowed"),
        ("x: !mine 1", "f:1:4", "not allowed"),
        ("x: !!set {a, b}", "f:1:4", "not allowed"),
        ("x: !!binary aGk=", "f:1:4", "not allowed"),
        ("x: !!int word", "f:1:4", "not a value of type int"),
        ("x: !!bool maybe", "f:1:4", "not a value of type bool"),
        (f"x: {'9' * 5000}", "f:1:4", "not a value of type int"),
        ("[a]: 1", "f:1:1", "key must be"),
        ("<<: 5", "f:1:5", "only maps"),
        ("a: *nowhere", "f:1:4", "undefined alias"),
        ("a: b\n c: \x07", "f:2:5", "control characters"),
        ("\ud800", "f", "Unicode"),
    ],
)  # fmt: skip
def test_what_is_not_plain_yaml_is_refused_with_its_place(text, where, problem):
    error = refused(text)
    assert error.code == "CFG-YAML-SYNTAX"
    assert error.what.startswith(f"{where}: ")
    assert problem in error.what


LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{n}: &{n} [{','.join([f'*{m}'] * 9)}]\n" for m, n in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS,
        "a: &a ['','','','','','','','']\n" + LAUGHS.partition("\n")[2].partition("g: ")[0],
        "a: &a [*a]",
        "a: &a {b: *a}",
        "a: &a " + "x" * 60_000 + "\nb: [" + "*a," * 60 + "]",
        "[" * 100_000,
        "- " * 100_000,
        "? " * 100_000,
        "{a: " * 70,
        "[" + "x," * 100_001 + "]",
        "x" * 1_000_001,
    ],
    ids=["billion laughs", "silent laughs", "list in itself", "map in itself", "long text", "brackets", "dashes",
         "question marks", "braces", "many", "large"],
)  # fmt: skip
def test_yaml_bombs(text):
    assert refused(text).code == "CFG-YAML-BOMB"


def test_bounds_count_all_documents_of_a_text():
    half = "---\n[" + "x," * 40_000 + "]\n"
    yaml.documents(half * 2, "f")
    assert refused(half * 3).code == "CFG-YAML-BOMB"


def test_sixty_four_levels_are_allowed():
    assert one("[" * 64 + "]" * 64).data
    assert refused("[" * 65 + "]" * 65).code == "CFG-YAML-BOMB"


def test_all_unknown_keys_are_reported_with_suggestions():
    text = """
service:
  discovery_grop: x
named:
  a: {enabld: yes}
several:
  - wrong: 1
either:
  - polll: 1
fixed: [{limit: 1}]
cloud: {type: azure, tenantid: x}
sercice: 1
"""
    assert complaints(text) == [
        "teleport.yaml:3:3: service.discovery_grop: unknown key, did you mean 'discovery_group'?",
        "teleport.yaml:5:7: named.a.enabld: unknown key, did you mean 'enabled'?",
        "teleport.yaml:7:5: several[0].wrong: unknown key",
        "teleport.yaml:9:5: either[0].polll: unknown key, did you mean 'poll'?",
        "teleport.yaml:10:10: fixed[0].limit: unknown key, did you mean 'limits'?",
        "teleport.yaml:11:22: cloud.tenantid: unknown key, did you mean 'tenant_id'?",
        "teleport.yaml:12:1: sercice: unknown key, did you mean 'service'?",
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("several:\n  - limits: [1, x]", "teleport.yaml:2:17: several[0].limits[1]: Expected `int`, got `str`"),
        ("cloud: {type: aws}", "teleport.yaml:1:1: cloud: Object missing required field `region`"),
        ("cloud: {type: gcp}", "teleport.yaml:1:9: cloud.type: Invalid value 'gcp'"),
        ("numbers: {a: x}", "teleport.yaml:1:11: numbers.a: Expected `int`, got `str`"),
        ("named: {a: {poll: 5q}}", "teleport.yaml:1:13: named.a.poll: '5q' is not a duration"),
        ("service: {poll: 5q}", "teleport.yaml:1:11: service.poll: '5q' is not a duration"),
        ("service: {enabled: maybe}", "teleport.yaml:1:11: service.enabled: 'maybe' is neither yes nor no"),
        ("[1]", "teleport.yaml:1:1: Expected `mapping`, got `list`"),
        ("token: 5", "teleport.yaml:1:1: token: expected text"),
    ],
)
def test_wrong_values_are_placed(text, complaint):
    (found,) = complaints(text)
    assert found.startswith(complaint)


def test_everything_wrong_is_told_in_the_order_of_the_text():
    text = """
servce: 1
several:
  - limits: [1, x, 2, y]
    enabled: maybe
  - 5
  - {poll: 5q, wrong: ~}
numbers: {a: x, b: 1, c: y}
cloud: 3
token: 5
fixed: hello
"""
    assert [found.partition(" (")[0] for found in complaints(text)] == [
        "teleport.yaml:2:1: servce: unknown key, did you mean 'service'?",
        "teleport.yaml:4:17: several[0].limits[1]: Expected `int`, got `str`",
        "teleport.yaml:4:23: several[0].limits[3]: Expected `int`, got `str`",
        "teleport.yaml:5:5: several[0].enabled: 'maybe' is neither yes nor no: this field takes "
        "yes, no, on, off, true or false",
        "teleport.yaml:6:5: several[1]: Expected `mapping`, got `int`",
        "teleport.yaml:7:6: several[2].poll: '5q' is not a duration: a duration is numbers with units, for "
        "example 30m, 1h30m or 12h",
        "teleport.yaml:7:16: several[2].wrong: unknown key",
        "teleport.yaml:8:11: numbers.a: Expected `int`, got `str`",
        "teleport.yaml:8:23: numbers.c: Expected `int`, got `str`",
        "teleport.yaml:9:1: cloud: Expected `mapping | null`, got `int`",
        "teleport.yaml:10:1: token: expected text",
        "teleport.yaml:11:1: fixed: Expected `list`, got `str`",
    ]


def test_a_key_without_a_value_is_left_out():
    assert complaints("service:\nnumbers: {a: ~}\nfixed: [{limits: ~}]\ncloud: {type: aws, region: ~}") == [
        "teleport.yaml:4:1: cloud: Object missing required field `region`"
    ]
    assert yaml.read(one("service: {enabled: ~}\ntoken:"), Config) == Config(service=Service())


def test_good_documents_have_no_problems():
    text = (
        "service: {enabled: on, poll: 1h, limits: [1]}\nsince: 2024-01-01T10:00:00Z\nfree: {a: [1]}\nopen: {extra: 1}"
    )
    document = one(text)
    assert yaml.problems(document, Config) == []
    config = yaml.read(document, Config)
    assert config.service
    assert config.service.enabled
    assert config.since == dt.datetime(2024, 1, 1, 10, tzinfo=dt.UTC)


def test_part_of_a_document_can_be_checked():
    document = one("outer:\n  list:\n    - enabld: yes\n")
    (problem,) = yaml.problems(document, Service, ("outer", "list", 0))
    assert str(problem).startswith("teleport.yaml:3:7: outer.list[0].enabld: unknown key")
    assert yaml.problems(document, Service | None, ("outer", "list", 5)) == []


def test_read_raises_every_problem_at_once():
    with pytest.raises(BadParameter) as caught:
        yaml.read(one("a: 1\nb: 2"), Config)
    assert caught.value.code == "CFG-YAML-FIELDS"
    assert caught.value.what.splitlines() == ["teleport.yaml:1:1: a: unknown key", "teleport.yaml:2:1: b: unknown key"]


def test_read_bounds_the_list_of_problems():
    with pytest.raises(BadParameter) as caught:
        yaml.read(one("\n".join(f"k{n}: 1" for n in range(60))), Config)
    assert caught.value.what.splitlines()[-1] == "teleport.yaml: and 10 more"


def test_keys_cannot_command_the_terminal():
    (found,) = complaints('"\\e[2J": 1')
    assert "\x1b" not in found
