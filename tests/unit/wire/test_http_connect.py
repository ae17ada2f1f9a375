"""HTTP CONNECT: bytes of the request, meanings of the answer."""

import pytest

from teleport.wire.http_connect import Verdict, verdict, write_request
from teleport.wire.http_head import read_head


def test_request() -> None:
    assert write_request("proxy.example.com:443") == (
        b"CONNECT proxy.example.com:443 HTTP/1.1\r\nHost: proxy.example.com:443\r\nUser-Agent: Teleport\r\n\r\n"
    )
    assert b"\r\nProxy-Authorization: Basic YTpi\r\n\r\n" in write_request("[::1]:443", "Basic YTpi")


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (200, Verdict.OPEN), (204, Verdict.OPEN), (407, Verdict.LOGIN), (401, Verdict.LOGIN), (403, Verdict.FORBIDDEN),
        (451, Verdict.FORBIDDEN), (500, Verdict.NO_TARGET), (502, Verdict.NO_TARGET), (503, Verdict.NO_TARGET),
        (504, Verdict.NO_TARGET), (101, Verdict.OTHER), (301, Verdict.OTHER), (400, Verdict.OTHER),
    ],
)  # fmt: skip
def test_meanings(status: int, meaning: Verdict) -> None:
    assert verdict(read_head(b"HTTP/1.1 %d\r\n\r\n" % status)) is meaning
