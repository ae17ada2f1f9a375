"""Callers: what they are, and who is admitted."""

from __future__ import annotations

import datetime as dt

import pytest

from teleport.api.caller import ADMIN, EVERYONE, NOBODY, USER, Caller, admit, local_administrator
from teleport.base import errors
from teleport.base.clock import ManualClock
from teleport.model.identity import Identity
from teleport.net.stream import Peer

CLOCK = ManualClock(dt.datetime(2030, 1, 1, tzinfo=dt.UTC))
LATER = CLOCK.now() + dt.timedelta(hours=1)


def identity(**fields: object) -> Identity:
    return Identity(**{"name": "x", "cluster": "c", "expires": LATER, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("caller", "words"),
    [
        (Caller(None), {"nobody"}),
        (Caller(identity()), {"user"}),
        (Caller(identity(kind="bot")), {"bot"}),
        (Caller(identity(kind="admin")), {"admin"}),
        (Caller(identity(kind="host", roles=("Auth",), system_roles=("Node", "Proxy"))), {"Auth", "Node", "Proxy"}),
        (Caller(identity(kind="host")), set()),
        (Caller(identity(roles=("Proxy", "admin"))), {"user"}),
    ],
)  # fmt: skip
def test_a_caller_is_what_its_kind_says(caller: Caller, words: set[str]) -> None:
    assert caller.words == words


@pytest.mark.parametrize(
    ("address", "ip"),
    [("192.0.2.1:22", "192.0.2.1"), ("[2001:db8::1]:22", "2001:db8::1"), ("local:uid=0,pid=1", ""), ("", "")],
)
def test_the_address_of_a_caller(address: str, ip: str) -> None:
    assert Caller(None, address).ip == ip


def test_only_the_named_are_admitted() -> None:
    admit(Caller(identity()), {USER}, "m", CLOCK)
    admit(Caller(None), EVERYONE | {NOBODY}, "m", CLOCK)
    with pytest.raises(errors.AccessDenied):
        admit(Caller(identity()), {ADMIN}, "m", CLOCK)
    with pytest.raises(errors.AccessDenied):
        admit(Caller(identity(kind="host")), EVERYONE, "m", CLOCK)
    with pytest.raises(errors.NotAuthenticated):
        admit(Caller(None), EVERYONE, "m", CLOCK)
    with pytest.raises(errors.NotAuthenticated) as late:
        admit(Caller(identity(expires=CLOCK.now())), {USER}, "m", CLOCK)
    assert late.value.code == "API-EXPIRED"
    refused = Caller(None, refusal=errors.AccessDenied("API-SOCKET-PEER", uid=1, owner=2))
    with pytest.raises(errors.AccessDenied):
        admit(refused, {NOBODY}, "m", CLOCK)


@pytest.mark.parametrize(("uid", "welcome"), [(0, True), (1000, True), (1001, False), (-1, False)])
def test_the_administrator_is_root_or_the_owner(uid: int, welcome: bool) -> None:
    caller = local_administrator(Peer(uid=uid, pid=5), owner=1000, host="h", cluster="c", clock=CLOCK)
    if welcome:
        assert caller.name == "admin@h"
        assert caller.words == {"admin"}
        assert caller.refusal is None
    else:
        assert caller.identity is None
        assert caller.refusal is not None
        assert caller.refusal.code == "API-SOCKET-PEER"


def test_an_unknown_owner_welcomes_nobody_else() -> None:
    assert local_administrator(Peer(uid=-1), owner=-1, host="h", cluster="c", clock=CLOCK).identity is None
