"""Targets on floor 1 that read documents, configuration, records and addresses."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import json
from typing import Any

import msgspec
import yaml as pyyaml

from teleport.base.errors import BadParameter, NotSupported, TeleportError
from teleport.model import address, document, event_query, event_query_parser, naming, ref
from teleport.model.config import teleport_yaml
from teleport.model.events import base as events
from teleport.model.events.file_copy import Action
from teleport.model.resource import dump, load
from teleport.net import dial
from tests.fuzz.engine import Target, plain, register, text
from tests.fuzz.targets_text import YAML
from tests.unit.model.samples import SAMPLES

_CONFIG = b"""\
version: v3
teleport:
  nodename: node-1
  data_dir: /var/lib/teleport
  ca_pin: "sha256:abcd"
  log: {output: stderr, severity: INFO, format: {output: json, extra_fields: [level, timestamp]}}
auth_service:
  enabled: yes
  cluster_name: example.com
  listen_addr: 0.0.0.0:3025
  authentication: {type: local, second_factor: off}
proxy_service:
  enabled: yes
  web_listen_addr: "[::]:443"
  public_addr: [example.com:443]
  https_keypairs: [{key_file: /k, cert_file: /c}]
ssh_service:
  enabled: no
  labels: {env: dev}
  commands: [{name: arch, command: [uname, -p], period: 1h0m0s}]
"""


@functools.cache
def _documents() -> list[bytes]:
    texts, plain_forms = [], []
    for name, sample in SAMPLES.items():
        with contextlib.suppress(TeleportError):  # a sample that this build refuses is none to begin with
            made = load(sample)
            texts.append(document.dump_yaml([made], secrets=True).encode())
            plain_forms.append(json.dumps(dump(made, secrets=True)).encode())
        assert name
    return [*texts, b"---\n".join(texts), *plain_forms]


def _document(data: bytes) -> object:
    """What is read is what `tctl get` would write, and reads back the same."""
    found = document.read(text(data), "f.yaml")
    again = document.read(document.dump_yaml(found, secrets=True), "g.yaml")
    assert [dump(resource, secrets=True) for resource in again] == [dump(resource, secrets=True) for resource in found]
    for resource in found:
        assert naming.name_problem(resource.name) == "" or resource.info.generated_name
        for column in resource.info.columns:
            assert isinstance(column.cell(resource), str)
    return tuple(sorted({resource.info.name for resource in found}))


def _keys(data: bytes) -> tuple[bytes, ...]:
    words = {word.strip(b"{}[],- ") for word in data.split()}
    return tuple(sorted(b"\n  " + word + b" " for word in words if word.endswith(b":")))


register(
    Target(
        "model.document",
        plain(_document),
        _documents,
        (BadParameter, NotSupported),
        dictionary=(
            *YAML,
            *_keys(b"\n".join(_documents())),
            b"role",
            b"user",
            b"lock",
            b"v3",
            b"v8",
            b"{{internal.logins}}",
            b'"^(a*)*$"',
            b"../../etc",
            b"a/b",
            b"-x",
            b"e\xcc\x81",
            b"teleport.internal/x: y",
        ),
        is_json=True,
        limit=16384,
    )
)


def _teleport_yaml(data: bytes) -> object:
    found = teleport_yaml.load(text(data), "teleport.yaml")
    assert all(str(warning) for warning in found.warnings)
    return tuple(found.sections()), tuple(warning.code for warning in found.warnings)


register(
    Target(
        "model.config",
        plain(_teleport_yaml),
        lambda: [
            _CONFIG,
            b"",
            b"version: v1\nauth_service: {enabled: no}\n",
            json.dumps(pyyaml.safe_load(_CONFIG)).encode(),
        ],
        (BadParameter, NotSupported),
        dictionary=(
            *YAML,
            *_keys(_CONFIG),
            b"app_service: ",
            b"version: 0x" + b"f" * 3700,
            b"127.0.0.1:99999",
            b"[::1]:1",
            b"webauthn",
            b"enabled: ",
            b"1h",
            b"never",
            b"tokens: ",
            b"storage: {type: dynamodb}",
        ),
        is_json=True,
        limit=16384,
    )
)


def _refs(data: bytes) -> object:
    found = ref.refs(text(data).split("\n"))
    for one in found:
        assert ref.refs([str(one)]) == [one] or one.info.singleton or "\\" in one.name, (one, str(one))
    return tuple(one.info.name for one in found[:3]), len(found) > 1


register(
    Target(
        "model.ref",
        plain(_refs),
        lambda: [b"role/dev", b"role\ndev", b"cert_authority/host/example.com", b"roles,users", b"all", b"user/a\\,b"],
        dictionary=(
            b"/",
            b",",
            b"\\,",
            b"\n",
            b"role",
            b"cert_authority",
            b"users",
            b"ca",
            b"all",
            b"__init__",
            b"..",
            b"lock/",
            b"\xc4\xb0",
            b"\xed\xa0\x80",
            b" ",
            b"\0",
        ),
    )
)


@functools.cache
def _events() -> list[bytes]:
    made = []
    for name, shape in events.every().items():
        needed: dict[str, Any] = {field.name: "x" for field in msgspec.structs.fields(shape) if field.required}
        if "action" in needed and name == "sftp":
            needed["action"] = Action.OPEN
        if name != "unknown":
            made.append(events.encode(shape(**needed)))
    stamp = b'"time":"2026-01-02T03:04:05.678Z","uid":"u","cluster_name":"c",'
    return [*made, *(event[:1] + stamp + event[1:] for event in made), b'{"event":"never.heard","code":"X","n":1e3}']


def _event(data: bytes) -> object:
    """Whatever the log holds is kept: written again and read again it is the same; each level shows less."""
    found = events.decode(data)
    written = events.encode(found)
    assert events.encode(events.decode(written)) == written
    shown = [set(events.redact(found, level)) for level in events.Level]
    assert shown[0] - {"redacted"} <= shown[1] - {"redacted"} <= shown[2]
    return found.event_name if found.event_name in events.every() else "", isinstance(found, events.Unknown)


register(
    Target(
        "model.events",
        plain(_event),
        _events,
        dictionary=(
            b'"event":"user.login",',
            b'"\\u0065vent":"exec",',
            b'"code":"T1000I",',
            b'"time":"',
            b"\\u0000",
            b"\xff",
            b"0001-01-01T00:00:00+14:00",
            b"9999-12-31T23:59:59-14:00",
            b"[" * 2000,
            b"9" * 30,
            b"1e400",
            b"null",
            b'"uid":5,',
            b'"event":["x"],',
            b"\\ud800",
            b'"success":false,',
            b"-0",
        ),
        is_json=True,
    )
)


_QUERIES = (
    b"SELECT time, user, event FROM events WHERE user = 'alice' AND time > '2026-11-01' AND event IN"
    b" ('user.login', 'exec') AND code LIKE 'T3%' ORDER BY time DESC LIMIT 50",
    b"select count(*) from events where not (server_labels.env is null or n between -1.5 and 2) and a != true",
    b"SELECT addr.remote, COUNT(*) FROM events WHERE time > now() - 7d OR x <> 'it''s' GROUP BY addr.remote LIMIT 5",
)
_NOW = dt.datetime(2026, 11, 8, tzinfo=dt.UTC)
_EVENT: dict[str, Any] = {
    "event": "exec", "time": "2026-11-02T08:00:00.500Z", "user": "alice", "code": "T3002I", "n": 1, "a": False,
    "addr.remote": "10.0.0.1:22", "server_labels": {"env": "%_" * 2000}, "x": ["it's", None, {}],
}  # fmt: skip


def _query(data: bytes) -> object:
    """A query is refused with a place, or it can be written and read again, decided and bounded."""
    wanted = text(data)
    query = event_query_parser.parse(wanted)
    assert event_query_parser.parse(event_query_parser.write(query)) == query
    meant = query.where is None or event_query.holds(query.where, _EVENT, _NOW)
    known = event_query.bounds(query, _NOW)
    if meant:
        moment = event_query.to_moment(_EVENT["time"])
        assert moment is not None
        assert known.since is None or moment >= known.since
        assert known.until is None or moment < known.until
        assert not known.types or "exec" in known.types
        assert known.user in ("", "alice")
    return meant, query.counts, query.descending, len(query.columns), type(query.where).__name__


register(
    Target(
        "model.event_query",
        plain(_query),
        lambda: _QUERIES,
        dictionary=(
            b"SELECT ", b"* FROM events ", b"WHERE ", b"COUNT(*)", b" AND ", b" OR ", b"NOT ", b" IN (", b" LIKE '%_'",
            b" BETWEEN ", b" IS NULL", b" IS NOT NULL", b" GROUP BY ", b" ORDER BY time ASC", b" LIMIT 5", b"now()",
            b" - 7d", b" + 1h30m", b"'2026-11-01'", b"TRUE", b"-1.5", b"9" * 18, b"''", b"(" * 40, b")", b"time",
            b"addr.remote", b"0.0000000000000001", b"99999999999d",
        ),
    )
)  # fmt: skip


def _listen_address(data: bytes) -> object:
    found = address.parse_addr(text(data), 3025)
    assert str(found).isprintable()
    assert address.parse_addr(str(found), 1) == found
    return ":" in found.host, found.port == 3025


def _dial_address(data: bytes) -> object:
    found = dial.parse_address(text(data), 3025)
    assert str(found).isprintable()
    assert dial.parse_address(str(found)) == found
    return bool(found.path), ":" in found.host, found.port == 3025


_ADDRESSES = [b"example.com:443", b"[::1]:22", b"[fe80::1%eth0]:22", b":3080", b"10.0.0.1", b"unix:/run/x.sock", b"::1"]
_PLACES = (b":", b"[", b"]", b"%", b"::", b"unix:/", b"unix:", b"://", b"65535", b"65536", b"0", b".", b"..",
           b"*", b"\n", b"\x1b[2J", b"\xd9\xa1", b"\xed\xa0\x80", b"\0", b" ", b"a" * 254, b"1.2.3.4", b"@",
           b"/")  # fmt: skip

register(Target("model.address", plain(_listen_address), lambda: _ADDRESSES, dictionary=_PLACES))
register(Target("net.dial.address", plain(_dial_address), lambda: _ADDRESSES, dictionary=_PLACES))
