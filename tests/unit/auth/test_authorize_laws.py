"""Asking once for two verbs gives what asking for each gives, whatever the rules."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from teleport.access.action import Conditions
from teleport.access.roleset import RoleSet
from teleport.auth.authorize import Rights
from teleport.model.identity import Identity
from teleport.model.recorded_session import RecordedSession, RecordedSessionSpec
from teleport.model.resource import Metadata, load

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
RULES = st.lists(
    st.fixed_dictionaries(
        {
            "resources": st.sampled_from([["session"], ["*"], ["event"]]),
            "verbs": st.sampled_from([["list"], ["read"], ["list", "read"], ["*"], ["delete"]]),
            "where": st.sampled_from(["", 'contains(session.participants, "ann")', 'equals(session.user, "bob")']),
        }
    ),
    max_size=3,
)


@given(allow=RULES, deny=RULES, participant=st.sampled_from(["ann", "bob", "eve"]))
def test_one_question_for_two_verbs(allow: list[object], deny: list[object], participant: str) -> None:
    role = load({
        "kind": "role", "version": "v7", "metadata": {"name": "r"},
        "spec": {"allow": {"rules": allow}, "deny": {"rules": deny}},
    })  # fmt: skip
    identity = Identity(name="x", cluster="c", roles=("r",), expires=NOW + dt.timedelta(hours=1))
    roles = RoleSet.build([role], {})  # type: ignore[list-item]
    rights = Rights(identity, roles, Conditions(now=NOW, cluster="c"))
    spec = RecordedSessionSpec(sid="s", user=participant, participants=(participant,))
    target = RecordedSession(metadata=Metadata(name="s"), spec=spec)
    if rights.may("list", "session") and rights.may("read", "session"):
        assert rights.shows(("list", "read"), target) == (rights.may("list", target) and rights.may("read", target))
