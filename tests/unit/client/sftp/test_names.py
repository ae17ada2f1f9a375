"""Places, patterns, and names that a server may not send."""

import pytest

from teleport.base.errors import BadParameter
from teleport.client.sftp import names
from teleport.client.sftp.names import Place


@pytest.mark.parametrize(
    ("text", "host", "path"),
    [
        ("file", "", b"file"), ("./a:b", "", b"./a:b"), ("/a:b", "", b"/a:b"), ("-rf", "", b"-rf"), ("", "", b""),
        ("host:", "host", b""), ("host:/x", "host", b"/x"), ("me@host:~/x", "me@host", b"~/x"),
        ("me@host:a:b", "me@host", b"a:b"), ("[::1]:/x", "[::1]", b"/x"), ("me@[fe80::1]:x", "me@[fe80::1]", b"x"),
        ("host:a\nb ü", "host", "a\nb ü".encode()), ("a@b/c:d", "", b"a@b/c:d"), ("host:\udcff", "host", b"\xff"),
    ],
)  # fmt: skip
def test_places(text, host, path):
    assert names.parse_place(text) == Place(path, host)


@pytest.mark.parametrize("text", [":x", "me@:x", "ho\0st:x"])
def test_what_is_no_place(text):
    with pytest.raises(BadParameter) as caught:
        names.parse_place(text)
    assert caught.value.code == "CLIENT-COPY-PLACE"


def test_places_are_shown_without_escapes():
    assert str(Place(b"\x1b[2Jx", "host")) == "host:\\x1b[2Jx"
    assert str(Place(b"\xff")) == "\\udcff"
    assert str(Place(b"")) == "."


@pytest.mark.parametrize("name", [b"", b".", b"..", b"../x", b"/etc/passwd", b"a/b", b"x/", b"a\0b"])
def test_names_that_lead_elsewhere_are_refused(name):
    with pytest.raises(BadParameter) as caught:
        names.safe(name)
    assert caught.value.code == "CLIENT-COPY-NAME"


@pytest.mark.parametrize("name", [b"...", b"-rf", b"a b", b"new\nline", b"\xff", b"..x", b"a\\b", b"\x1b[2J"])
def test_other_names_are_names(name):
    assert names.safe(name) == name


def test_paths():
    assert names.join(b"", b"x") == b"x"
    assert names.join(b"/", b"x") == b"/x"
    assert names.join(b"a", b"x") == b"a/x"
    bases = {b"a/b": b"b", b"a/b//": b"b", b"/": b"", b".": b"", b"a/..": b"", b"x": b"x"}
    assert {path: names.base(path) for path in bases} == bases
    assert names.part_of(b"/d/" + b"n" * 255, "tsh-1") == b"/d/" + b"n" * 200 + b".tsh-1.part"


@pytest.mark.parametrize(
    ("name", "pattern", "fits"),
    [
        (b"a.txt", b"*.txt", True), (b"a.txt", b"?.txt", True), (b"b", b"[ab]", True), (b"c", b"[!c]", False),
        (b".hidden", b"*", False), (b".hidden", b".*", True), (b"\xff\xfe", b"*", True), (b"A", b"a", False),
        (b"new\nline", b"new*", True),
    ],
)  # fmt: skip
def test_patterns(name, pattern, fits):
    assert names.matches(name, pattern) is fits
    assert names.is_pattern(pattern) or pattern == b"a"
    assert not names.is_pattern(b"plain\\name")
