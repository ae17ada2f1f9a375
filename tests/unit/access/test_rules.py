"""access.rules: kinds, verbs, where."""

import pytest

from teleport.access.rules import Answer, compile_rule, rule_data
from teleport.model.recorded_session import RecordedSession, RecordedSessionSpec
from teleport.model.resource import Metadata
from teleport.model.role_spec import Rule
from tests.support.policy import caller, node


def rule(where="", resources=("role",), verbs=("read",)):
    return compile_rule("dev", "allow", Rule(resources=resources, verbs=verbs, where=where))


@pytest.mark.parametrize(
    ("compiled", "kind", "verb", "expected"),
    [
        (rule(), "role", "read", True),
        (rule(), "role", "readnosecrets", True),
        (rule(), "role", "list", False),
        (rule(), "user", "read", False),
        (rule(resources=("*",)), "user", "read", True),
        (rule(verbs=("*",)), "role", "delete", True),
        (rule(verbs=("readnosecrets",)), "role", "read", False),
    ],
)
def test_kind_and_verb(compiled, kind, verb, expected):
    assert compiled.speaks_of(kind, verb) is expected


def test_where():
    own = "equals(resource.metadata.name, user.metadata.name)"
    carol, other = node(name="carol"), node(name="other")
    traits = {"team": ("x",)}
    assert rule().answer({}) is Answer.YES
    assert rule(own).answer(rule_data(caller(), traits, carol)) is Answer.YES
    assert rule(own).answer(rule_data(caller(), traits, other)) is Answer.NO
    assert rule(own).answer(rule_data(caller(), traits, "node")) is Answer.MAYBE
    mine = 'contains(user.spec.traits["team"], "x")'
    assert rule(mine).answer(rule_data(caller(), traits, "node")) is Answer.YES


def test_what_cannot_be_read_or_evaluated_is_broken():
    assert rule("nope(").answer({}) is Answer.BROKEN
    assert rule("contains(session.participants, 'x')").answer(rule_data(caller(), {}, node())) is Answer.BROKEN


def test_text():
    assert str(rule()) == "[role]: [read]"
    assert str(rule("true")) == "[role]: [read] where true"


def test_a_recorded_session_is_what_rules_call_session():
    took_part = rule("contains(session.participants, user.metadata.name)", resources=("session",))
    name = caller().name

    def session(*people):
        return RecordedSession(
            metadata=Metadata(name="s"), spec=RecordedSessionSpec(sid="s", user="bob", participants=people)
        )

    assert took_part.answer(rule_data(caller(), {}, session("bob", name))) is Answer.YES
    assert took_part.answer(rule_data(caller(), {}, session("bob"))) is Answer.NO
    assert took_part.answer(rule_data(caller(), {}, "session")) is Answer.MAYBE
