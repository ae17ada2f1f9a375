"""Requests to AWS: our signatures against a published example, and strict reading of those of others."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.base.errors import BadParameter
from teleport.wire import sigv4

NOW = dt.datetime(2015, 8, 30, 12, 36, tzinfo=dt.UTC)
KEYS = sigv4.Credentials(access_key="AKIDEXAMPLE", secret_key="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
BODY = b"Action=GetCallerIdentity&Version=2011-06-15"


def made(**changes: str) -> str:
    headers = sigv4.sign(
        KEYS, host="sts.amazonaws.com", region="us-east-1", service="sts", body=BODY,
        headers={"x-teleport-challenge": "c"}, now=NOW,
    )  # fmt: skip
    return sigv4.write({**headers, **changes}, BODY)


def test_the_example_of_the_test_suite_of_aws() -> None:
    """`post-vanilla` of the suite that AWS publishes for Signature Version 4."""
    headers = sigv4.sign(
        KEYS, host="example.amazonaws.com", region="us-east-1", service="service", body=b"", headers={}, now=NOW
    )  # fmt: skip
    assert headers["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        "SignedHeaders=host;x-amz-date, Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
    )


def test_it_reads_what_it_writes() -> None:
    read = sigv4.read(made())
    assert (read.method, read.target, read.host, read.body) == ("POST", "/", "sts.amazonaws.com", BODY)
    assert (read.region, read.service) == ("us-east-1", "sts")
    assert read.signed == {"host", "x-amz-date", "x-teleport-challenge"}


def test_a_session_token_is_signed() -> None:
    keys = sigv4.Credentials(access_key="AKIDEXAMPLE", secret_key="s", session_token="t")
    headers = sigv4.sign(keys, host="h", region="r", service="s", body=b"", headers={}, now=NOW)
    assert headers["x-amz-security-token"] == "t"
    assert "x-amz-security-token" in headers["authorization"]
    assert "secret" not in repr(keys)


@pytest.mark.parametrize(
    "text",
    [
        "", "POST / HTTP/1.1", "x" * 20000, made().replace("HTTP/1.1", "HTTP/1.0"), made().replace("POST /", "POST"),
        made().replace("host:", "hö:"), made().replace("host: ", "host "), made().replace("\r\nhost", "\r\n host"),
        made().replace("content-length: 43", "content-length: 42"), made().replace("AWS4-HMAC-SHA256", "AWS4"),
        made(**{"x-amz-date": "2\x7f"}), made(**{"a\tb": "c"}),
        made().replace("content-length", "x-teleport-challenge: d\r\ncontent-length"),
        made().replace("content-length", "Host: evil.example.com\r\ncontent-length"),
        made().replace("x-teleport-challenge: c\r\n", ""),
        made(**{f"x-{index}": "1" for index in range(40)}),
        made().replace("Signature=", "Signature=zz"),
    ],
)  # fmt: skip
def test_what_is_no_request(text: str) -> None:
    with pytest.raises(BadParameter) as caught:
        sigv4.read(text)
    assert caught.value.code == "WIRE-SIGV4"


def test_the_length_may_be_left_out_and_signed() -> None:
    signed = made().replace("SignedHeaders=host;", "SignedHeaders=content-length;host;")
    assert "content-length" not in sigv4.read(signed).signed
    assert sigv4.read(made().replace("content-length: 43\r\n", "")).body == BODY


@given(st.text(max_size=200) | st.integers(0, 300).flatmap(lambda at: st.just(made()[:at] + "\0" + made()[at:])))
def test_arbitrary_text_raises_nothing_else(text: str) -> None:
    try:
        sigv4.read(text)
    except BadParameter as error:
        assert error.code == "WIRE-SIGV4"  # noqa: PT017 - any other error fails the test
