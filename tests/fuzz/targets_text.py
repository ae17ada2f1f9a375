"""Targets on floor 0: what people write into files and onto command lines, and what peers say went wrong."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any, Literal

import msgspec

from teleport.base import errors, regexp, yaml
from teleport.base.struct import Duration, Secret, Struct, Switch, decode, encode
from teleport.base.text import columns, label_text, parse_labels, shorten, suggest, table
from tests.fuzz.engine import Target, plain, register, text

YAML = (
    b"&a ", b"*a", b"<<: ", b"!!python/object/apply:os.system ", b"!!binary ", b"!!set ", b"!!int ", b"!!float ",
    b"!!timestamp ", b"!<tag:yaml.org,2002:str> ", b"%YAML 1.1\n", b"%TAG ! tag:x,2000:\n", b"--- ", b"\n---\n",
    b"\n...\n", b"{", b"}", b"[", b"]", b"? ", b": ", b"- ", b", ", b"|\n", b">-\n", b"|9\n", b"\n  ", b"\n", b"\t",
    b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\xc2\x85", b"\xed\xa0\x80", b"\0", b"'", b'"', b'"\\x00"', b'"\\U0001F600"',
    b'"\\ud800"', b"# ", b"22:22", b"0o17", b"0x", b"0b1", b"1_000", b".inf", b".nan", b"1e400", b"~", b"null", b"yes",
    b"off", b"2026-01-01T00:00:00Z", b"0001-01-01T00:00:00+23:59", b"9999-12-31T23:59:59-23:59",
)  # fmt: skip
"""Words of YAML that mean something."""


class _Inner(Struct, frozen=True, kw_only=True):
    enabled: Switch = Switch(True)
    poll: Duration = Duration(0)
    limits: tuple[int, ...] = ()


class _Cloud(Struct, frozen=True, kw_only=True, tag_field="type", tag="aws"):
    region: str


class _Sample(Struct, frozen=True, kw_only=True):
    service: _Inner = _Inner()
    named: dict[str, _Inner] = {}
    several: tuple[_Inner, ...] = ()
    cloud: _Cloud | None = None
    token: Secret | None = None
    since: dt.datetime | None = None
    mode: Literal["strict", "best_effort"] = "strict"
    free: Any = None


_DOCUMENTS = [
    b"service: {enabled: yes, poll: 1h30m, limits: [1, 2]}\nnamed:\n  a: &a {poll: 5m}\n  b: *a\n",
    b"several:\n- enabled: off\n- <<: {poll: 1s}\ncloud: {type: aws, region: x}\ntoken: secret\nmode: strict\n",
    b"since: 2026-01-01T00:00:00Z\nfree: [1, 2.5, 0x10, 010, 22:22, ~, 'a', \"b\", [c], {d: e}]\n---\nservice: {}\n",
    b"a: |\n  text\n  more\nb: >-\n  folded\n? c\n: d\n...\n%YAML 1.1\n---\n- x\n",
]


def _yaml_documents(data: bytes) -> object:
    found = yaml.documents(text(data), "f.yaml")
    for document in found:
        _walk(document, document.data, ())
    return tuple(type(document.data).__name__ for document in found[:4])


def _walk(document: yaml.Document, value: Any, path: yaml.Path) -> None:
    """Every value is plain data, and has a place in the text."""
    assert value is None or type(value) in (bool, int, float, str, list, dict), type(value)
    source, line, column = document.where(path).rsplit(":", 2)
    assert source == "f.yaml"
    assert int(line) > 0
    assert int(column) > 0
    str(value) if isinstance(value, int) else None
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in inside:
        assert isinstance(step, (str, int))
        _walk(document, inner, (*path, step))


def _yaml_read(data: bytes) -> object:
    found = []
    for document in yaml.documents(text(data), "f.yaml"):
        told = [str(problem) for problem in yaml.problems(document, _Sample)]
        assert all(line.isprintable() for line in told), told
        found.append(encode(yaml.read(document, _Sample), secrets=True))
    return len(found), bool(found) and found[0][:20]


register(Target("base.yaml.documents", plain(_yaml_documents), lambda: _DOCUMENTS, dictionary=YAML))
register(
    Target(
        "base.yaml.read",
        plain(_yaml_read),
        is_json=True,
        seeds=lambda: [
            *_DOCUMENTS,
            b'{"service": {"enabled": true, "limits": [1]}, "cloud": {"type": "aws", "region": "x"}}',
        ],
        dictionary=(
            *YAML,
            b"service: ",
            b"named: ",
            b"several: ",
            b"cloud: ",
            b"token: ",
            b"since: ",
            b"type: gcp\n",
            b"poll: ",
            b"limits: ",
            b"mode: ",
        ),
    )
)


def _duration(data: bytes) -> object:
    found = Duration.parse(text(data))
    assert 0 <= found <= 1e10
    again = Duration.parse(str(found))
    assert math.isclose(again, found, abs_tol=1e-3), (str(found), found)
    assert str(Duration.parse(str(again))) == str(again)
    return not found, str(found)[-2:]


def _custom(data: bytes) -> object:
    """The same types from JSON: whatever stands there, the decoder's own error or a value."""
    found = decode(data, _Inner)
    assert decode(encode(found), _Inner).enabled == found.enabled
    return found.enabled.on, bool(found.poll)


register(
    Target(
        "base.struct.duration",
        plain(_duration),
        lambda: [b"1h30m0s", b"20s", b"never", b"1.5h", b"100ms", b"1d2h", b"5\xc2\xb5s", b"0"],
        dictionary=(b"1", b"h", b"m", b"s", b"d", b"ns", b".", b"-", b"never", b"\xd9\xa1", b"999999999999"),
    )
)
register(
    Target(
        "base.struct.json",
        plain(_custom),
        lambda: [b'{"enabled":true,"poll":"5m","limits":[1]}', b'{"enabled":"on","poll":3.5}', b'{"poll":0}'],
        (msgspec.DecodeError,),
        dictionary=(
            b"[",
            b"{",
            b"]",
            b"}",
            b'"',
            b"\\u0000",
            b"\\ud800",
            b"1e400",
            b"-0",
            b"9" * 30,
            b"\xff",
            b"null",
            b'"enabled":',
            b'"poll":',
            b'"\\u0070oll":',
            b"9" * 5000,
            b"[" * 3000,
        ),
        is_json=True,
    )
)


def _switch(data: bytes) -> object:
    return Switch.parse(text(data)).on


register(
    Target(
        "base.struct.switch",
        plain(_switch),
        lambda: [b"yes", b"no", b"on", b"off", b"TRUE", b"0"],
        dictionary=(b"\xc4\xb0", b"\xef\xac\x80", b"1", b" "),
    )
)


def _labels(data: bytes) -> object:
    found = parse_labels(text(data))
    assert parse_labels(label_text(found)) == found
    (_, _, *rows) = table(["Name", "Labels"], [["x", label_text(found)]], width=40)
    assert all(row.isprintable() for row in rows)
    assert columns(shorten(label_text(found), 20)) <= 20 + 3
    suggest(text(data), ["environment", "team", "a" * 60])
    return min(len(found), 3)


register(
    Target(
        "base.text.labels",
        plain(_labels),
        lambda: [b"env=dev,team=a", b"a=\"b, c\", d='e\\'f'", b"x= y ,z="],
        dictionary=(b"=", b",", b'"', b"'", b"\\", b" ", b"\xe3\x80\x80", b"\x1b[2J", b"\xcc\x81"),
    )
)


def _regexp(data: bytes) -> object:
    """A pattern, NUL, a text. The text is stretched: what costs more than its length shows."""
    pattern, _, subject = text(data).partition("\0")
    compiled = regexp.compile(pattern)
    stretched = (subject or "a") * (1024 // max(1, len(subject)))
    answers = compiled.matches(subject), compiled.matches(stretched), compiled.matches(stretched + "!")
    replaced = compiled.replace(stretched, "<$1>")
    assert (replaced is None) or isinstance(replaced, str)
    return *answers, replaced is None


register(
    Target(
        "base.regexp",
        plain(_regexp),
        lambda: [
            b"^(a+)+$\0aaaa",
            b"(a|aa)*b\0aab",
            b"(?i)[a-z_0-9]*x{2,5}?\0Axx",
            b"(?P<n>\\w+)-(\\d{1,3})\0ab-12",
            b"(a*b|a)\0a",
            b"((a*)*)*$\0ab",
            b"[[:alpha:]]+\\.\0z.",
            b"(a?){30}a{30}\0a",
            b"(x+x+)+y\0x",
        ],
        dictionary=(
            b"(",
            b")",
            b"(?:",
            b"(?P<n>",
            b"(?<m>",
            b"(?i)",
            b"(?=",
            b"|",
            b"*",
            b"+",
            b"?",
            b"{2,5}",
            b"{0}",
            b"{500}",
            b"{,3}",
            b"[",
            b"]",
            b"[^",
            b"[:alpha:]",
            b"-",
            b"\\",
            b"\\d",
            b"\\1",
            b"\\x41",
            b"\\b",
            b"^",
            b"$",
            b".",
            b"\0",
            b"a",
            b"\xc4\xb0",
            b"\xed\xa0\x80",
            b"\n",
        ),
        limit=400,
    )
)


def _remote_error(data: bytes) -> object:
    """An error that a peer sent: always one of ours, in one printable line for each part."""
    sent = msgspec.json.decode(data, type=_Sent)
    error = errors.from_grpc(sent.status, sent.code, sent.fields, sent.id)
    assert isinstance(error, errors.TeleportError)
    for part in (error.what, error.why, error.fix, str(error), repr(error)):
        assert isinstance(part, str)
    located = error.at("f:1:1")
    assert located.what == f"f:1:1: {error.what}"
    return type(error).__name__, error.code


class _Sent(msgspec.Struct):
    status: int = 0
    code: str = ""
    fields: dict[str, str] = {}
    id: str = ""


register(
    Target(
        "base.errors.remote",
        plain(_remote_error),
        lambda: [
            b'{"status":3,"code":"CFG-DURATION","fields":{"value":"x"},"id":"1"}',
            b'{"status":7,"code":"POL-LOCKED","fields":{"message":"m"}}',
            b'{"status":5,"code":"NO-SUCH"}',
        ],
        (msgspec.DecodeError, UnicodeDecodeError),
        dictionary=(
            b'"id":"x"',
            b'"code":"',
            b'"self":"x",',
            b'"value":"{0.__class__}",',
            b'"what":"x",',
            b"__init__-X",
            b"os-X",
            b"..-X",
            b"CFG-DURATION",
            b"POL-NOT-FOUND",
            b"NET-TIMEOUT",
            b'"place":"x",',
            b"\\u0000",
        ),
        is_json=True,
    )
)
