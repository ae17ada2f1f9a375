"""access.predicate: what expressions mean, and where a typing error is shown."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.access.predicate import LABELS, QUERY, WHERE, evaluate, parse
from teleport.base.errors import BadParameter

USER = {"metadata": {"name": "carol"}, "spec": {"roles": ("dev", "ops"), "traits": {"team": ("x", "y@example.com")}}}
DATA = {
    "user": USER,
    "labels": {"env": "prod", "team-a": "1", "team-b": "2", "list": "a,b"},
    "name": "node-7",
    "resource": {"metadata": {"name": "carol", "labels": {"k": "v"}}, "spec": {"n": 3, "on": True, "list": ["a", "b"]}},
}


def truth(text, language, data=DATA):
    return evaluate(parse(text, language), data)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("equals(resource.metadata.name, user.metadata.name)", True),
        ("contains(user.spec.roles, 'dev')", True),
        ("contains(user.spec.roles, `d\\ev`)", False),
        ('contains_all(user.spec.roles, "dev", "ops")', True),
        ('contains_all(user.spec.roles, set("dev", "no"))', False),
        ("contains_all(user.spec.roles, set())", False),
        ('contains_any(user.spec.roles, set("no", "ops"))', True),
        ('contains_any(user.spec.traits["none"], "x")', False),
        ('all_end_with(resource.spec.list, "a")', False),
        ('all_end_with(resource.metadata.name, "l")', True),
        ('all_end_with(user.spec.traits["none"], "l")', False),
        ('!contains(user.spec.roles, "x") && !!(true || false)', True),
        ('resource.metadata.labels["k"] == "v"', True),
        ('resource.metadata.labels["none"] == ""', True),
        ("resource.metadata.name.deeper == ''", True),
        ("resource.spec.n == 3", True),
        ("resource.spec.n != 3.5", True),
        ("resource.spec.on == 1", False),
        ("resource.spec.on", True),
        ("false && resource.spec.n || true", True),
        (r'"a\"\n\t\d" == "b"', False),
    ],
)
def test_where(text, expected):
    assert truth(text, WHERE) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('labels["env"] == "prod" && contains(user.spec.traits["team"], "x")', True),
        ('labels["none"] == "prod"', False),
        ('regexp.match(user.spec.traits["team"], "^x|z$")', True),
        ('regexp.match(labels["env"], "pr*")', True),
        ('contains(regexp.replace(user.spec.traits["team"], "^(.)@.*$", "$1"), "y")', True),
        ('contains(regexp.replace(labels["env"], "^p(.*)$", "$1"), "rod")', True),
        ('contains(email.local(user.spec.traits["team"]), "y")', True),
        ('contains(strings.upper(labels["env"]), "PROD")', True),
        ('contains(strings.lower("PROD"), "prod")', True),
        ('contains(labels_matching("team-*"), "2")', True),
        ('contains_all(labels_matching("team-*"), "1", "2", "3")', False),
    ],
)
def test_label_expressions(text, expected):
    assert truth(text, LABELS) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('labels.env == "prod"', True),
        ('name == "node-7" && hasPrefix(name, "node")', True),
        ('exists(labels["env"]) && !exists(labels["none"])', True),
        ('search("NODE", "prod")', True),
        ('search("nope")', False),
        ('contains(split(labels["list"], ","), "b")', True),
        ('contains(split(labels["list"], ""), "a,b")', True),
        ('resource.metadata.name == "carol"', True),
    ],
)
def test_filters(text, expected):
    assert truth(text, QUERY) is expected


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("", 1), ("user.", 6), ("  #", 3), ("user.spec &", 11), ("nope", 1), ("nope()", 1), ("equals(1)", 1),
        ("(true", 6), ("true)", 5), ('user["x"', 9), ("user[x]", 6), ("equals(1 2)", 10), ("true true", 6),
        ('user["x"](1)', 10), ("&& true", 1), ('"open', 1), ("(" * 50 + "true", 33), ("true && " * 600, 4096),
        ("user.1", 6), ("regexp.match(user, user)", 1),
    ],
)  # fmt: skip
def test_errors_have_a_column(text, column):
    with pytest.raises(BadParameter) as refused:
        parse(text, WHERE)
    assert refused.value.code == "POL-PREDICATE"
    assert refused.value.fields["column"] == str(column)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ('"text"', WHERE),
        ("!user.metadata.name", WHERE),
        ("!!user.metadata.name", WHERE),
        ("contains(resource.spec.n, 'a')", WHERE),
        ("contains(user.spec.roles, resource.spec.n)", WHERE),
        ("session.participants == 'x'", WHERE),
        ('regexp.match(labels["env"], "^(a$")', LABELS),
        ('contains(regexp.replace(labels["long"], "a", "b"), "b")', LABELS),
    ],
)
def test_values_of_the_wrong_type(text, language):
    data = {**DATA, "labels": {"env": "x", "long": "a" * 5000}}
    with pytest.raises(BadParameter) as refused:
        truth(text, language, data)
    assert refused.value.code == "POL-PREDICATE-VALUE"


def test_roots_are_the_names_of_data():
    assert parse("equals(resource.x, user.y)", WHERE).roots == {"resource", "user"}


_WORDS = ["user", "resource", ".", "(", ")", "&&", "||", "!", "==", "!=", '"a"', "contains", ",", "[", "]", "1", "set"]


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=30), st.lists(st.sampled_from(_WORDS), max_size=14).map("".join)))
def test_any_text_is_an_answer_or_an_error_of_ours(text):
    try:
        answer = truth(text, WHERE)
    except BadParameter as error:
        answer = error.code.startswith("POL-PREDICATE")
    assert answer in (True, False)
