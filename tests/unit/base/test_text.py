"""Tables, times, labels and suggestions."""

import datetime as dt

import pytest

from teleport.base import text
from teleport.base.errors import BadParameter

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def test_table_has_header_dashes_and_one_blank_between():
    assert text.table(["Node Name", "Labels"], [["a", "env=dev"], ["long-node-name", ""]]) == [
        "Node Name      Labels",
        "-------------- -------",
        "a              env=dev",
        "long-node-name",
    ]


def test_table_without_rows_keeps_its_heading():
    assert text.table(["User"], []) == ["User", "----"]


def test_wide_labels_are_shortened_to_the_terminal():
    lines = text.table(["Name", "Labels"], [["n", "x" * 100]], width=40)
    assert max(map(len, lines)) == 40
    assert lines[2].endswith("x...")


def test_labels_keep_a_readable_width_on_a_narrow_terminal():
    assert text.table(["Name", "Labels"], [["n" * 60, "x" * 100]], width=40)[2].endswith("x" * 13 + "...")


def test_verbose_tables_are_not_shortened():
    assert text.table(["Name", "Labels"], [["n", "x" * 100]])[2].endswith("x" * 100)


def test_cells_cannot_command_the_terminal():
    assert text.table(["N"], [["\x1b]0;x\x07"]])[2] == "\\x1b]0;x\\x07"


def test_wide_characters_align():
    lines = text.table(["A", "B"], [["한글", "x"], ["abcd", "x"]])
    assert lines[2] == "한글 x"
    assert lines[3] == "abcd x"


def test_shorten_counts_columns():
    assert text.shorten("한글한글", 7) == "한글..."
    assert text.shorten("abc", 3) == "abc"


def test_pairs_align_values():
    assert text.pairs({"Cluster": "x", "CA pin": "y"}) == ["Cluster  x", "CA pin   y"]


@pytest.mark.parametrize(
    ("length", "shown"),
    [(3600, "1h0m0s"), (65.9, "1m5s"), (0, "0s"), (-90, "-1m30s"), (-0.5, "0s"), (dt.timedelta(hours=30), "30h0m0s")],
)
def test_duration(length, shown):
    assert text.duration(length) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(11 * 3600 + 59 * 60 + 42, "valid for 11h59m0s"), (59, "valid for 59s"), (0, "EXPIRED"), (-5, "EXPIRED")],
)
def test_valid_for(seconds, shown):
    assert text.valid_for(NOW + dt.timedelta(seconds=seconds), NOW) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(5, "5s"), (200, "3m"), (7300, "2h"), (400_000, "4d"), (-9, "0s")])
def test_age(seconds, shown):
    assert text.age(NOW - dt.timedelta(seconds=seconds), NOW) == shown


@pytest.mark.parametrize(
    ("word", "found"),
    [("discovery_grop", "discovery_group"), ("LS", "ls"), ("sl", "ls"), ("login", ""), ("", ""), ("x" * 500, "")],
)
def test_suggest(word, found):
    assert text.suggest(word, ["discovery_group", "ls", "status"]) == found


def test_suggest_with_nothing_known():
    assert text.did_you_mean("a", []) == ""
    assert text.did_you_mean("statsu", ["status"]) == ", did you mean 'status'?"


def test_label_text_is_sorted_and_quotes_what_needs_it():
    assert text.label_text({"team": "a", "env": "dev", "note": "a, b", "empty": ""}) == (
        'empty="",env=dev,note="a, b",team=a'
    )


@pytest.mark.parametrize(
    ("given", "labels"),
    [
        ("", {}),
        ("k=v,k2=v2", {"k": "v", "k2": "v2"}),
        (" k = v , k2=v 2", {"k": "v", "k2": "v 2"}),
        ("k='a, b',\"x y\"=z", {"k": "a, b", "x y": "z"}),
        (r'k="say \"hi\""', {"k": 'say "hi"'}),
        ("k=", {"k": ""}),
        ("k=a=b", {"k": "a=b"}),
        ("k='v' ,l=m", {"k": "v", "l": "m"}),
    ],
)
def test_parse_labels(given, labels):
    assert text.parse_labels(given) == labels


@pytest.mark.parametrize(
    ("given", "problem"),
    [("k", "key=value"), ("=v", "key=value"), ("k=v,", "last comma"), ("k=1,k=2", "twice"), ("k='v", "not closed"),
     ("k='v'x", "follows a closing"), ("'k'x=v", "follows a closing"), ("k='v\\", "not closed")],
)  # fmt: skip
def test_labels_that_cannot_be_read(given, problem):
    with pytest.raises(BadParameter, match=problem) as caught:
        text.parse_labels(given)
    assert caught.value.code == "CFG-LABELS"


def test_terminal_width_has_a_default(monkeypatch):
    monkeypatch.setenv("COLUMNS", "123")
    assert text.terminal_width() == 123
