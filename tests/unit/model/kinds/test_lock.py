from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from teleport.base.errors import BadParameter
from teleport.model import resource as kinds
from teleport.model.kinds.lock import ENFORCED, Lock
from tests.unit.model.samples import SAMPLES, sample

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


def lock(**spec: Any) -> Lock:
    loaded = kinds.load({"kind": "lock", "spec": spec})
    assert isinstance(loaded, Lock)
    return loaded


def test_a_lock_needs_no_name_and_a_user_does() -> None:
    assert lock(target={"user": "a"}).name == ""
    with pytest.raises(BadParameter) as caught:
        kinds.load({"kind": "user"})
    assert caught.value.code == "KIND-NAME"


@pytest.mark.parametrize("target", [{}, {"user": ""}, {"mfa_device": ""}])
def test_a_lock_needs_a_target(target: dict[str, str]) -> None:
    with pytest.raises(BadParameter) as caught:
        lock(target=target)
    assert caught.value.code == "KIND-LOCK-TARGET"


def test_a_lock_without_a_spec_is_refused() -> None:
    for document in ({"kind": "lock"}, {"kind": "lock", "spec": {}}, {"kind": "lock", "spec": {"target": None}}):
        with pytest.raises(BadParameter):
            kinds.load(document)


@pytest.mark.parametrize("field", ENFORCED)
def test_every_enforced_target_is_named(field: str) -> None:
    assert lock(target={field: "x"}).spec.target.named() == {field: "x"}


def test_node_is_an_old_name_of_server_id() -> None:
    for target in ({"node": "n"}, {"node": "n", "server_id": "n"}, {"node": "n", "server_id": ""}):
        assert lock(target=target).spec.target.named() == {"server_id": "n"}
    with pytest.raises(BadParameter) as caught:
        lock(target={"node": "a", "server_id": "b"})
    assert caught.value.code == "KIND-LOCK-NODE"


def test_the_target_in_words() -> None:
    assert str(lock(target={"user": "bot-example"}).spec.target) == 'User:"bot-example"'
    assert str(lock(target={"login": 'a"b', "role": "ü"}).spec.target) == 'Role:"ü" Login:"a\\"b"'


def test_a_lock_is_in_force_until_its_end() -> None:
    forever = lock(target={"user": "a"})
    assert forever.in_force(NOON)
    ending = lock(target={"user": "a"}, expires=NOON.isoformat())
    assert ending.in_force(NOON - dt.timedelta(microseconds=1))
    assert not ending.in_force(NOON)
    assert not forever.with_metadata(expires=NOON).in_force(NOON)


@pytest.mark.parametrize("spec", [{"message": "\x1b[31m"}, {"created_by": "\0"}, {"target": {"user": "a,b"}}])
def test_texts_that_would_speak_to_terminals(spec: dict[str, Any]) -> None:
    with pytest.raises(BadParameter):
        kinds.load(sample("lock", **spec))


def test_locks_are_not_edited() -> None:
    assert kinds.load(SAMPLES["lock"]).info.writable == {"create", "rm"}
