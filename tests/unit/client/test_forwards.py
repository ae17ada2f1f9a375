"""-L, -R and -D as ssh(1) has them."""

import pytest

from teleport.base.errors import BadParameter
from teleport.client.forwards import EVERYWHERE, LOOPBACK, Forward, Tcp, Unix, parse


@pytest.mark.parametrize(
    ("option", "text", "listen", "to"),
    [
        ("L", "8080:web:80", Tcp(LOOPBACK, 8080), Tcp("web", 80)),
        ("L", "127.0.0.2:8080:web:80", Tcp("127.0.0.2", 8080), Tcp("web", 80)),
        ("L", "*:8080:web:80", Tcp(EVERYWHERE, 8080), Tcp("web", 80)),
        ("L", ":8080:web:80", Tcp(EVERYWHERE, 8080), Tcp("web", 80)),
        ("L", "[::1]:8080:[2001:db8::1]:80", Tcp("::1", 8080), Tcp("2001:db8::1", 80)),
        ("L", "8080:[::1]:80", Tcp(LOOPBACK, 8080), Tcp("::1", 80)),
        ("L", "8080:/run/db.sock", Tcp(LOOPBACK, 8080), Unix("/run/db.sock")),
        ("L", "[::1]:8080:/run/db.sock", Tcp("::1", 8080), Unix("/run/db.sock")),
        ("L", "/tmp/s:web:80", Unix("/tmp/s"), Tcp("web", 80)),
        ("L", "/tmp/s:/run/db.sock", Unix("/tmp/s"), Unix("/run/db.sock")),
        ("R", "0:web:80", Tcp(LOOPBACK, 0), Tcp("web", 80)),
        ("R", "*:8080:web:80", Tcp(EVERYWHERE, 8080), Tcp("web", 80)),
        ("R", "/tmp/s:web:80", Unix("/tmp/s"), Tcp("web", 80)),
        ("R", "1080", Tcp(LOOPBACK, 1080), None),
        ("R", "[::]:1080", Tcp("::", 1080), None),
        ("R", "1080:/tmp/s", Tcp(LOOPBACK, 1080), Unix("/tmp/s")),
        ("D", "1080", Tcp(LOOPBACK, 1080), None),
        ("D", "*:1080", Tcp(EVERYWHERE, 1080), None),
    ],
)
def test_forwards(option, text, listen, to):
    assert parse(option, text) == Forward(option, listen, to)


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("L", ""), ("L", "8080"), ("L", "8080:web"), ("L", "8080:web:"), ("L", "0:web:80"), ("L", "8080:web:0"),
        ("L", "70000:web:80"), ("L", "8080::80"), ("L", "a:b:c:d:e"), ("L", "::1:8080:web:80"), ("L", "[::1:80:a:1"),
        ("L", "8080:[a]b:80"), ("L", "8080:we b:80"), ("L", "8080:/" + "x" * 107), ("L", "8x:web:80"),
        ("L", "/a:/b:/c"), ("L", "a:b:c:80"), ("L", "8080:web:80:/s"), ("L", "\u0661:web:80"), ("R", ""),
        ("R", "x"), ("R", "a:b"), ("D", "0"), ("D", "/tmp/s"), ("D", "a:b:1"), ("L", "h" * 256 + ":1:web:80"),
    ],
)  # fmt: skip
def test_what_is_none(option, text):
    with pytest.raises(BadParameter) as caught:
        parse(option, text)
    assert caught.value.code == "CLIENT-FORWARD"


@pytest.mark.parametrize(
    ("option", "text", "shown"),
    [
        ("L", "8080:web:80", "-L localhost:8080 -> web:80"),
        ("L", "*:8080:[::1]:80", "-L *:8080 -> [::1]:80"),
        ("R", "/tmp/s:/run/t", "-R /tmp/s -> /run/t"),
        ("D", "1080", "-D localhost:1080"),
    ],
)
def test_forwards_in_words(option, text, shown):
    assert str(parse(option, text)) == shown
