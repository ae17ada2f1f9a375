"""Durations, secrets, switches, and what conversion reports."""

import datetime as dt

import msgspec
import pytest

from teleport.base.errors import BadParameter
from teleport.base.struct import Duration, Secret, Struct, Switch, convert, decode, encode, plain


class Thing(Struct, frozen=True, kw_only=True):
    wait: Duration = Duration(0)
    key: Secret = Secret("")
    on: Switch = Switch(False)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30m", 1800),
        ("1h30m0s", 5400),
        ("1.5s", 1.5),
        ("never", 0),
        ("no", 0),
        ("", 0),
        ("2d", 172800),
        ("250ms", 0.25),
    ],
)
def test_duration_reads_what_people_write(text, seconds):
    assert Duration.parse(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["5", "5q", "m", "1h-5m", "1h 5m", "99999999999d", "x" * 100])
def test_duration_refuses_the_rest(text):
    with pytest.raises(BadParameter) as caught:
        Duration.parse(text)
    assert caught.value.code == "CFG-DURATION"


@pytest.mark.parametrize(("seconds", "text"), [(3600, "1h0m0s"), (65, "1m5s"), (5, "5s"), (1.5, "1.5s"), (0, "0s")])
def test_duration_prints_with_units(seconds, text):
    assert str(Duration(seconds)) == text
    assert repr(Duration(seconds)) == f"Duration({text!r})"


def test_duration_is_a_length_of_time():
    assert Duration.parse(90).delta == dt.timedelta(seconds=90)


def test_secret_never_shows_itself():
    secret = Secret("hunter2")
    for shown in (str(secret), repr(secret), f"{secret:>10}", str([secret]), repr({"a": secret})):
        assert "hunter2" not in shown
    assert secret.reveal() == "hunter2"
    assert (str(Secret("")), bool(Secret("")), bool(secret)) == ("", False, True)


def test_secret_equals_only_the_same_secret():
    assert Secret("a") == Secret("a")
    assert Secret("a") != "a"
    assert hash(Secret("a")) == hash(Secret("a"))


@pytest.mark.parametrize("word", ["yes", "ON", "true", "1", True, 1])
def test_switch_on(word):
    assert Switch.parse(word)


@pytest.mark.parametrize("word", ["no", "Off", "false", "0", False, 0])
def test_switch_off(word):
    assert not Switch.parse(word)


def test_switch_refuses_other_words():
    with pytest.raises(BadParameter):
        Switch.parse("maybe")


def test_switch_compares_with_booleans():
    assert Switch(True) == True  # noqa: E712 - the comparison is what is tested
    assert Switch(True) != "yes"
    assert hash(Switch(True)) == hash(True)
    assert (repr(Switch(True)), repr(Switch(False))) == ("Switch(yes)", "Switch(no)")


def test_custom_values_are_read_and_written():
    thing = convert({"wait": "1h", "key": "k", "on": "yes"}, Thing)
    assert thing == Thing(wait=Duration(3600), key=Secret("k"), on=Switch(True))
    assert plain(thing) == {"wait": "1h0m0s", "key": "", "on": True}
    assert plain(thing, secrets=True)["key"] == "k"
    assert decode(encode(thing, secrets=True), Thing) == thing
    assert b"k" not in encode(thing).replace(b'"key"', b"")


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({"wait": "5q"}, "'5q' is not a duration.*at `\\$.wait`"),
        ({"wait": True}, "not a duration"),
        ({"wait": []}, "not a duration"),
        ({"on": "maybe"}, "neither yes nor no.*at `\\$.on`"),
        ({"key": 5}, "expected text"),
        ({"other": 1}, "unknown field `other`"),
    ],
)
def test_every_complaint_is_a_validation_error_with_its_path(document, complaint):
    with pytest.raises(msgspec.ValidationError, match=complaint):
        convert(document, Thing)


def test_foreign_types_are_refused():
    with pytest.raises(msgspec.ValidationError, match="unsupported type"):
        convert(1, complex)
    with pytest.raises(TypeError, match="cannot encode"):
        encode({"a": 1j})
