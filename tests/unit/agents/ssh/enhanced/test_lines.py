"""Lines of bpftrace: read strictly, shown harmlessly, whatever users call their files."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.agents.ssh.enhanced import lines
from teleport.agents.ssh.enhanced.lines import Attached, Connected, Exec, Lost, Made, Opened, Returned, Said, read


def printed(text: str | bytes) -> bytes:
    """A line as bpftrace writes it: escaped, with bytes that are no UTF-8 as they are."""
    raw = text.encode() if isinstance(text, str) else text
    escaped = json.dumps(raw.decode("latin-1"))[1:-1].encode()
    for number in range(0x80, 0x100):
        escaped = escaped.replace(f"\\u{number:04x}".encode(), bytes([number]))
    return b'{"type": "printf", "data": "' + escaped + b'"}'


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("M 7", Made(7)),
        (f"E 5 4 3 7 {'sh':16}/bin/ls", Exec(5, 4, 3, 7, "sh", "/bin/ls")),
        (f"E 5 4 3 7 {'a b':16}", Exec(5, 4, 3, 7, "a b", "")),
        ("A 5 1 a\nb", lines.Argument(5, 1, "a\\x0ab")),
        ("A 5 0 ", lines.Argument(5, 0, "")),
        ("R 5 -2", Returned(5, -2)),
        (f"D 4 3 7 241 3 {'sh':16}/tmp/\x1b[0m", Opened(4, 3, 7, 0x241, 3, "sh", "/tmp/\\x1b[0m")),
        (f"N 4 7 {'curl':16}4 127.0.0.1 10.0.0.1 443", Connected(4, 7, "curl", 4, "127.0.0.1", "10.0.0.1", 443)),
        (f"N 4 7 {'curl':16}6 ::1 fe80::1 443", Connected(4, 7, "curl", 6, "::1", "fe80::1", 443)),
        (f"N 4 7 {'curl':16}6 ::1 127.0.0.1 443", Said(f"N 4 7 {'curl':16}6 ::1 127.0.0.1 443")),
        (f"N 4 7 {'curl':16}4 1.2.3 127.0.0.1 443", Said(f"N 4 7 {'curl':16}4 1.2.3 127.0.0.1 443")),
        (f"N 4 7 {'curl':16}4 1.2.3.4 127.0.0.1 99999", Said(f"N 4 7 {'curl':16}4 1.2.3.4 127.0.0.1 99999")),
        ("E 5 4 3 7 short/bin/ls", Said("E 5 4 3 7 short/bin/ls")),
        ("X 5", Said("X 5")),
    ],
)  # fmt: skip
def test_what_our_program_prints(text: str, found: lines.Line) -> None:
    assert read(printed(text)) == found


def test_bytes_that_are_no_text_and_names_that_are_not_ascii() -> None:
    assert read(printed(b"A 5 1 \xff\\")) == lines.Argument(5, 1, "\\xff\\\\")
    assert read(printed(b"E 5 4 3 7 " + "pré".encode().ljust(16) + b"/x")) == Exec(5, 4, 3, 7, "pré", "/x")
    assert read(b'{"type": "printf", "data": "A 5 1 \\ud83d"}') == lines.Argument(5, 1, "\\\\ud83d")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b'{"type": "attached_probes", "data": {"probes": 6}}', Attached()),
        (b'{"type": "lost_events", "data": {"events": 12}}', Lost(12)),
        (b'{"type": "lost_events", "data": {"events": "x"}}', Said('{"type": "lost_events", "data": {"events": "x"}}')),
        (b"ERROR: not permitted\n", Said("ERROR: not permitted\\x0a")),
        (b"[1]", Said("[1]")),
        (b"[" * 100000, Said("[" * 500)),
    ],
)
def test_what_bpftrace_says_itself(line: bytes, found: lines.Line) -> None:
    assert read(line) == found


@given(st.binary(max_size=400))
def test_nothing_raises_and_nothing_unprintable_comes_out(data: bytes) -> None:
    for line in (data, printed(data), printed(b"D 4 3 7 241 -1 " + b"x" * 16 + data)):
        assert all(text.isprintable() for text in read(line) if isinstance(text, str))


@given(st.text(max_size=100))
def test_a_path_is_told_without_loss(path: str) -> None:
    found = read(printed(f"D 4 3 7 241 -1 {'x':16}".encode() + path.encode(errors="surrogatepass")))
    assert isinstance(found, Opened)
    if path.isprintable() and "\\" not in path:
        assert found.path == path
