"""TOTP against the tables of RFC 4226 and RFC 6238, and against a second implementation."""

from __future__ import annotations

import base64
import datetime as dt
import urllib.parse

import pytest

from teleport.auth import totp
from tests.support.authenticator import Authenticator

SECRET = b"12345678901234567890"
"""Of the tables in RFC 4226, appendix D, and RFC 6238, appendix B (SHA-1)."""


def moment(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


@pytest.mark.parametrize(
    ("count", "code"),
    list(
        enumerate(["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"])
    ),
)
def test_the_table_of_rfc_4226(count: int, code: str) -> None:
    assert totp.code_of(SECRET, count) == code


@pytest.mark.parametrize(
    ("seconds", "eight"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_the_table_of_rfc_6238(seconds: int, eight: str) -> None:
    assert totp.code_of(SECRET, totp.step_at(moment(seconds))) == eight[-6:]
    assert totp.accepted_step(SECRET, eight[-6:], moment(seconds)) == seconds // 30


@pytest.mark.parametrize(("late", "accepted"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_clock_may_be_off_by_one_step(late: int, accepted: bool) -> None:
    now = moment(1234567890)
    step = totp.step_at(now) + late
    assert totp.accepted_step(SECRET, totp.code_of(SECRET, step), now) == (step if accepted else None)


def test_steps_change_at_whole_half_minutes() -> None:
    assert [totp.step_at(moment(seconds)) for seconds in (0, 29.999, 30, 59.999, 60)] == [0, 0, 1, 1, 2]


def test_a_used_step_and_those_before_it_are_not_accepted() -> None:
    now = moment(1234567890)
    current = totp.step_at(now)
    for last in range(current - 2, current + 3):
        for step in range(current - 1, current + 2):
            found = totp.accepted_step(SECRET, totp.code_of(SECRET, step), now, last=last)
            assert found == (step if step > last else None)


@pytest.mark.parametrize(
    "typed", ["", "x", "89005", "8900592", "890059245", "-05924", "005925", "٠٠٥٩٢٤", "\ud800", "0" * 9999]
)
def test_what_is_no_code_is_simply_wrong(typed: str) -> None:
    assert totp.accepted_step(SECRET, typed, moment(1234567890)) is None


@pytest.mark.parametrize("typed", ["005924", "005 924", " 005924 ", "005\u00a0924"])
def test_blanks_between_digits_are_as_apps_show_them(typed: str) -> None:
    assert totp.accepted_step(SECRET, typed, moment(1234567890)) is not None


def test_the_beginning_of_time_is_no_exception() -> None:
    assert totp.accepted_step(SECRET, "755224", moment(0)) == 0


def test_uri_says_everything_and_nothing_in_it_breaks_out() -> None:
    issuer, account = "a:b/c?d&e=f g", "zoë@example.com"
    found = urllib.parse.urlsplit(totp.uri(SECRET, issuer=issuer, account=account))
    assert (found.scheme, found.netloc, found.fragment) == ("otpauth", "totp", "")
    assert urllib.parse.unquote(found.path) == f"/{issuer}:{account}"
    assert found.path.count(":") == 1
    assert urllib.parse.parse_qs(found.query, strict_parsing=True) == {
        "secret": [base64.b32encode(SECRET).decode()], "issuer": [issuer], "algorithm": ["SHA1"], "digits": ["6"],
        "period": ["30"],
    }  # fmt: skip


def test_an_app_that_reads_the_typed_secret_shows_the_same_codes() -> None:
    phone = Authenticator(totp.base32(SECRET))
    assert [phone.at(step) for step in range(100)] == [totp.code_of(SECRET, step) for step in range(100)]
