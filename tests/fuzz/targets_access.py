"""Targets on floor 3 that read what people wrote: conditions, selectors, templates, stored refusals."""

# ruff: noqa: PT017 - laws about a refusal stand where it is caught

from __future__ import annotations

import datetime as dt
from typing import Any

from teleport.access import explain, labels, predicate, traits
from teleport.access.denial import Step
from teleport.base import regexp
from teleport.base.errors import BadParameter
from teleport.base.struct import encode
from teleport.model import template
from teleport.model.login import is_login
from tests.fuzz.engine import Target, plain, register, text

_LANGUAGES = (predicate.WHERE, predicate.LABELS, predicate.QUERY)
_DATA: dict[str, Any] = {
    "labels": {"env": "prod", "team": "ops", "^a$": "x" * 5000, "": ""},
    "name": "node-1",
    "user": {"metadata": {"name": "alice"}, "spec": {"traits": {"teams": ["ops", "dev"], "hours": ["22:22"]}}},
    "resource": {"metadata": {"labels": {"env": "prod"}}, "spec": {"hostname": "web", "n": 3, "on": True, "x": None}},
    "session": {"participants": ["alice"]},
}
_WORDS = (
    b"labels", b"user", b"resource", b"name", b"session", b".spec", b".traits", b".metadata.labels", b'["env"]',
    b"['teams']", b"equals(", b"contains(", b"contains_any(", b"set(", b"regexp.match(", b"regexp.replace(",
    b"email.local(", b"strings.upper(", b"labels_matching(", b"search(", b"hasPrefix(", b"split(", b"exists(", b")",
    b",", b"&&", b"||", b"!", b"==", b"!=", b"(", b'"prod"', b'"(a*)*"', b'"^(a|b)+$"', b"`raw`", b"'x'", b"true",
    b"1.5", b"9" * 15, b'"\\x', b'"\\n"', b".", b"[", b"]", b" ", b"\xc4\xb0", b"\xed\xa0\x80", b"\n", b'""',
)  # fmt: skip


def _predicate(data: bytes) -> object:
    """Parsed in each place where one may stand. What cannot be read says where; what cannot be evaluated says why."""
    wanted, answers = text(data), []
    for language in _LANGUAGES:
        try:
            parsed = predicate.parse(wanted, language)
        except BadParameter as error:
            assert error.code == "POL-PREDICATE"
            assert 1 <= int(error.fields["column"]) <= len(wanted) + 1
            answers.append(error.fields["problem"][:12])
            continue
        assert parsed.roots <= language.roots
        try:
            answers.append(str(predicate.evaluate(parsed, _DATA)))
        except BadParameter as error:
            assert error.code == "POL-PREDICATE-VALUE"
            answers.append(error.fields["problem"][:30])
    predicate.parse.cache_clear()  # keeping what is tried here would measure the cache
    regexp.compile.cache_clear()
    labels.matcher.cache_clear()
    return tuple(answers)


register(
    Target(
        "access.predicate",
        plain(_predicate),
        lambda: [
            b'labels["env"] == "prod" && contains(user.spec.traits["teams"], "ops")',
            b'!(resource.metadata.labels["env"] != "prod" || equals(resource.spec.hostname, `web`))',
            b'regexp.match(labels["team"], "^o.*$") && contains_any(set("a", "b"), split("a,b", ","))',
            b'search("web", "prod") || hasPrefix(name, "node") && exists(labels.env) == true',
            b'contains(regexp.replace(user.spec.traits.teams, "^(o)(.*)$", "$2$1"), labels_matching("*"))',
        ],
        (),
        dictionary=_WORDS,
    )
)

_TRAITS = {"logins": ("alice", "root,bob"), "team": ("ops", "^(a*)*$", "a*b*c", "x@y.z"), "": ("",)}


def _selector(data: bytes) -> object:
    """Lines of `key\\0value` make a selector; it is asked about labels, and its two answers must agree."""
    lines = [line.partition("\0") for line in text(data).split("\n")[:8]]
    wanted: dict[str, str | tuple[str, ...]] = {key: value for key, _, value in lines}
    selector = labels.Selector(wanted, _TRAITS)
    answers = []
    for found in ({"env": "prod"}, {"env": "a" * 4000}, {"": "", "env": "a\nb"}, {}):
        matched = selector.matches(found)
        assert matched == (bool(selector) and not selector.misses(found)), (wanted, found)
        answers.append(matched)
    assert isinstance(str(selector), str)
    regexp.compile.cache_clear()
    labels.matcher.cache_clear()
    template.parse.cache_clear()
    return tuple(answers), len(wanted)


register(
    Target(
        "access.labels",
        plain(_selector),
        lambda: [
            b"env\0prod\nteam\0*",
            b"env\0^p.*d$",
            b"env\0a*b*c*d*\n*\0*",
            b"env\0{{external.team}}",
            b'env\0{{regexp.replace(external.team, "^(a*)*$", "$1")}}',
            b"*\0*",
        ],
        (),
        dictionary=(
            b"*",
            b"^",
            b"$",
            b"(a*)*",
            b"{{",
            b"}}",
            b"internal.",
            b"external.",
            b"email.local(",
            b'["',
            b'"]',
            b"regexp.replace(",
            b")",
            b",",
            b'"',
            b"\0",
            b"\n",
            b"env",
            b"a*" * 40,
            b"\xed\xa0\x80",
        ),
    )
)


def _template(data: bytes) -> object:
    """A template is refused when it is written, or gives texts; what becomes of it as a login is a login."""
    item = text(data)
    found = traits.expand(item, _TRAITS)
    assert all(isinstance(value, str) for value in found)
    assert all(is_login(login) for login in traits.expand_logins((item,), _TRAITS))
    parsed = template.parse(item)
    template.parse.cache_clear()
    regexp.compile.cache_clear()
    return parsed.expression is None, min(len(found), 3)


register(
    Target(
        "model.template",
        plain(_template),
        lambda: [
            b"{{internal.logins}}",
            b'x-{{external["team"]}}-y',
            b"{{email.local(external.team)}}",
            b'{{regexp.replace(external.team, "^(o)(.*)$", "${2}$1$$")}}',
            b"plain",
        ],
        dictionary=(
            b"{{",
            b"}}",
            b"internal.",
            b"external.",
            b'["',
            b'"]',
            b"email.local(",
            b"regexp.replace(",
            b")",
            b",",
            b'"(a*)*"',
            b'"$1"',
            b"\\",
            b" ",
            b"logins",
            b"team",
            b"\xed\xa0\x80",
            b"\0",
        ),
    )
)

_STEP = {"condition": "logins", "matched": False, "wanted": "[a]", "found": "b", "role": "dev", "side": "allow"}
_RECORD = explain.Record(
    code="POL-NO-LOGIN", user="alice", user_kind="human", roles=("dev",), request="ssh b@n", kind="node", name="n",
    time=dt.datetime(2026, 1, 1, tzinfo=dt.UTC).isoformat(), client_ip="", visible=True, nearest=0,
    steps=(Step(**_STEP), Step(condition="locks", matched=True, wanted="", found="")),  # type: ignore[arg-type]
    succeed_if=("add login",),
)  # fmt: skip


def _record(data: bytes) -> object:
    found = explain.from_record(data)
    shown = explain.tree(found)
    assert explain.from_record(encode(found)) == found
    return found.nearest, min(len(shown.splitlines()), 9)


register(
    Target(
        "access.explain",
        plain(_record),
        lambda: [encode(_RECORD)],
        dictionary=(
            b'"nearest":-1',
            b'"nearest":99',
            b'"version":2',
            b'"\\u0072oles":',
            b'"steps":[]',
            b"\\u000a",
            b"\xff",
            b'"side":"deny",',
            b'"condition":"rules",',
            b"[" * 2000,
            b"\\ud800",
            b"1e400",
            b"null",
            b"9" * 40,
        ),
        is_json=True,
    )
)
