from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest

from teleport.base.errors import BadParameter
from teleport.model import resource as kinds
from teleport.model.events import access, base, cert, forward, resource, session, user
from teleport.model.identity import Identity
from tests.unit.model.samples import SAMPLES

NOON = dt.datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=dt.UTC)
ALICE = Identity(
    name="alice", cluster="example.com", roles=("access",), principals=("alice", "-internal"), expires=NOON,
    login_ip="192.0.2.7",
)  # fmt: skip

PUBLISHED = {
    "user.login": ("T1000I", "T1000W"), "user.create": ("T1002I",), "user.update": ("T1003I",),
    "user.delete": ("T1004I",), "mfa.add": ("T1006I",), "mfa.delete": ("T1007I",),
    "user.password_change": ("T1005I",), "reset_password_token.create": ("T6000I",),
    "cert.create": ("TC000I",), "instance.join": ("TJ002I", "TJ002E"), "bot.join": ("TJ001I", "TJ001E"),
    "bot.create": ("TB001I",), "bot.update": ("TB002I",), "bot.delete": ("TB003I",),
    "cert.generation_mismatch": ("TCB03W",),
    "db.create": ("TDB03I",), "db.update": ("TDB04I",), "db.delete": ("TDB05I",),
    "app.create": ("TAP03I",), "app.update": ("TAP04I",), "app.delete": ("TAP05I",),
    "kube.create": ("T3010I",), "kube.update": ("T3011I",), "kube.delete": ("T3012I",),
    "role.created": ("T9000I",), "role.deleted": ("T9001I",), "role.updated": ("T9002I",),
    "lock.created": ("TLK00I",), "lock.deleted": ("TLK01I",), "join_token.create": ("TJT00I",),
    "session.start": ("T2000I",),
    "resize": ("T2002I",), "session.join": ("T2001I",), "session.leave": ("T2003I",),
    "session.end": ("T2004I",), "session.rejected": ("T1006W",),
    "exec": ("T3002I", "T3002E"), "subsystem": ("T3001I", "T3001E"), "port": ("T3003I", "T3003E", "T3003S"),
    "sftp": (*(f"TS0{number:02}{suffix}" for number in range(1, 20) for suffix in "IE"), "TS020E"),
    "sftp_summary": ("TS021I",), "scp": ("T3004I", "T3004E", "T3005I", "T3005E", "T3010E"),
    "x11-forward": ("T3008I", "T3008W"), "client.disconnect": ("T3006I",), "auth": ("T3007W",),
    "audit.prune": ("TAU01I",), "session.recording.search": ("TSR10I",),
    "session.upload": ("T2005I",), "session.recording.access": ("T2012I",), "session.recording.failed": ("TSR00W",),
    "session.recording.set_aside": ("TSR01W",), "session.recording.key_rotated": ("TSR02I",),
    "session_recording_config.update": ("TCREC003I",), "cluster_networking_config.update": ("TCNET002I",),
    "session.command": ("T4000I",), "session.disk": ("T4001I",), "session.network": ("T4002I",),
    "host_user.create": ("THU00I",), "host_user.delete": ("THU01I", "THU01E"),
    "session.terminate": ("TST00I",), "instance.clone": ("TIN00W",),
    "access.denied": ("TAD00W",), "resource.change": ("TRC00I",), "unknown": ("TCC00E",),
}  # fmt: skip


def test_names_and_codes_are_the_published_ones() -> None:
    assert {name: shape.CODES for name, shape in base.every().items()} == PUBLISHED


def test_codes_are_unique_but_for_suffixes() -> None:
    codes = [code for codes in PUBLISHED.values() for code in codes]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_field_says_who_may_see_it(name: str) -> None:
    levels = base.field_levels(base.every()[name])
    assert base.Level.SECRET not in levels.values()


def test_a_field_without_a_mark_is_secret() -> None:
    class Careless(base.Event, frozen=True, kw_only=True, tag="careless"):
        plain: str = ""

    assert base.field_levels(Careless)["plain"] == base.Level.SECRET


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (user.UserLogin(success=True), "T1000I"),
        (user.UserLogin(success=False), "T1000W"),
        (session.Exec(command="ls", exit_code="0"), "T3002I"),
        (session.Exec(command="ls", exit_code="2"), "T3002E"),
        (session.Exec(command="ls", exit_code="0", exit_error="no such file"), "T3002E"),
        (session.Subsystem(subsystem="sftp"), "T3001I"),
        (session.Subsystem(subsystem="sftp", exit_error="refused"), "T3001E"),
        (forward.PortForward(success=True, addr="a:1"), "T3003I"),
        (forward.PortForward(success=False, addr="a:1"), "T3003E"),
        (forward.PortForward(success=True, addr="a:1", code="T3003S"), "T3003S"),
        (forward.X11Forward(success=False), "T3008W"),
        (session.SessionRejected(reason="max"), "T1006W"),
        (access.AuthAttempt(error="x", decision_id="d"), "T3007W"),
        (access.AccessDenied(decision_id="d", action="ssh", count=3), "TAD00W"),
    ],
)
def test_the_code_follows_from_the_fields(event: base.Event, code: str) -> None:
    assert event.code == code


def test_an_event_has_no_code_of_another() -> None:
    with pytest.raises(ValueError, match="T9000I"):
        user.UserLogin(success=True, code="T9000I")


def test_an_event_in_the_log() -> None:
    event = session.Exec(
        command="ls -l",
        exit_code="0",
        login="root",
        server_id="s",
        addr_local="10.0.0.1:3022",
        **base.caller_fields(ALICE),
    ).stamped(time=NOON.astimezone(dt.timezone(dt.timedelta(hours=2))), uid="u1", cluster_name="example.com")
    assert base.encode(event) == (
        b'{"addr.local":"10.0.0.1:3022","cluster_name":"example.com","code":"T3002I","command":"ls -l","event":"exec",'
        b'"exitCode":"0","login":"root","server_id":"s","time":"2026-01-01T12:00:00.123Z","uid":"u1","user":"alice",'
        b'"user_kind":1,"user_roles":["access"]}'
    )
    assert base.decode(base.encode(event)) == event
    assert event.event_name == "exec"


def test_line_breaks_stay_inside_the_line() -> None:
    data = base.encode(user.UserLogin(success=False, user="a\nb\u2028\x00"))
    assert len(data.splitlines()) == 1


@pytest.mark.parametrize("kind", ["human", "bot", "host", "admin"])
def test_callers_have_a_kind(kind: Any) -> None:
    fields = base.caller_fields(msgspec.structs.replace(ALICE, kind=kind))
    assert fields["user_kind"] == {"human": 1, "bot": 2}.get(kind, 3)


def test_certificates_are_recorded_with_whom_they_name() -> None:
    event = cert.CertCreate(cert_type="user", identity=cert.CertIdentity.of(ALICE), **base.caller_fields(ALICE))
    assert base.decode(base.encode(event)) == event
    assert event.identity.logins == ("alice",)
    assert base.document(event)["identity"]["client_ip"] == "192.0.2.7"


@pytest.mark.parametrize(
    "data",
    [
        b'{"code":"TX","event":"of.the.future","n":1.5,"time":"2026-01-01T00:00:00Z","uid":"u"}',
        b'{"code":"T1000I","event":"user.login","fingers":11,"success":true}',
        b'{"code":"T1000I","event":"user.login","success":"yes"}',
        b'{"code":"T1000X","event":"user.login","success":true}',
        b'{"event":"user.login","success":true}',
        b'{"event":"unknown","x":1}',
        b'{"event":["user.login"],"time":5,"uid":null}',
        b"{}",
    ],
)
def test_what_this_build_does_not_know_is_kept_whole(data: bytes) -> None:
    event = base.decode(data)
    assert isinstance(event, base.Unknown)
    assert base.encode(event) == data
    assert event.event_name == event.fields.get("event", "unknown") or not isinstance(event.fields["event"], str)


def test_unknown_events_have_time_and_uid_where_they_can_be_read() -> None:
    event = base.decode(b'{"event":"x","time":"2026-01-01T12:00:00.000Z","uid":"u","cluster_name":3}')
    assert (event.time, event.uid, event.cluster_name) == (NOON.replace(microsecond=0), "u", "")


@pytest.mark.parametrize("data", [b"", b"[]", b"1", b"{", b"\xff", b'{"a":1}x', b"[" * 100_000])
def test_what_is_no_record(data: bytes) -> None:
    with pytest.raises(BadParameter) as caught:
        base.decode(data)
    assert caught.value.code == "EVENT-NOT-JSON"


def test_redaction() -> None:
    event = session.Exec(
        command="mysql -psecret", exit_code="0", user="alice", server_id="s", addr_remote="192.0.2.7:1"
    )
    shown = base.redact(event, base.Level.PUBLIC)
    assert shown == {
        "event": "exec", "code": "T3002I", "exitCode": "0", "server_id": "s",
        "redacted": ["addr.remote", "command", "user"],
    }  # fmt: skip
    assert base.redact(event, base.Level.SENSITIVE) == base.document(event)


def test_of_unknown_events_only_the_shared_fields_are_shown() -> None:
    event = base.decode(b'{"event":"x","code":"Y","uid":"u","password":"p"}')
    shown = {"event": "x", "code": "Y", "uid": "u", "redacted": ["password"]}
    assert base.redact(event, base.Level.PUBLIC) == base.redact(event, base.Level.SENSITIVE) == shown
    assert base.redact(event, base.Level.SECRET) == base.document(event)


@pytest.mark.parametrize("kind", sorted(SAMPLES))
@pytest.mark.parametrize("action", ["create", "update", "delete"])
def test_every_change_of_every_kind_has_an_event(kind: str, action: Any) -> None:
    loaded = kinds.load(SAMPLES[kind])
    event = resource.change_event(action, loaded, **base.caller_fields(ALICE))
    assert (event.event_name, event.code) == loaded.info.events.get(action, ("resource.change", "TRC00I"))
    assert base.decode(base.encode(event)) == event
    assert event.user == "alice"


def test_every_event_that_a_kind_names_is_one_of_resources() -> None:
    for info in kinds.every():
        for name, code in info.events.values():
            assert issubclass(base.every()[name], resource.ResourceEvent)
            assert code in base.every()[name].CODES


def test_what_events_of_resources_say() -> None:
    changed = {
        name: base.document(resource.change_event("create", kinds.load(SAMPLES[name])))
        for name in ("user", "lock", "node")
    }
    assert changed["user"]["roles"] == ["access"] or changed["user"]["roles"] == ("access",)
    assert changed["user"]["expires"] == "2026-01-02T03:04:05Z"
    assert changed["lock"]["target"] == {"user": "bot-example"}
    assert changed["node"]["resource_kind"] == "node"
    assert changed["node"]["action"] == "create"


def test_the_secret_of_a_token_is_in_no_event() -> None:
    token = kinds.load(SAMPLES["token"])
    for action in ("create", "update", "delete"):
        data = base.encode(resource.change_event(action, token))
        assert token.name.encode() not in data
        assert b"********" in data
