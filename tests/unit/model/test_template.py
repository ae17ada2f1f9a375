"""model.template: what may stand between the braces, and the words for what may not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.base.errors import BadParameter
from teleport.model.template import EmailLocal, Replace, Template, Trait, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("root", Template("root")),
        ("{{internal.logins}}", Template("", Trait("logins"))),
        ("{{ external.team-name }}", Template("", Trait("team-name"))),
        ("IAM#{{external.x}}-user", Template("IAM#", Trait("x"), "-user")),
        ('{{external["with space"]}}', Template("", Trait("with space"))),
        ('{{internal["logins"]}}', Template("", Trait("logins"))),
        ("{{email.local(external.email)}}", Template("", EmailLocal(Trait("email")))),
    ],
)
def test_read(text, expected):
    assert parse(text) == expected


def test_replace_is_compiled():
    expression = parse(r'{{regexp.replace(email.local(external.x), "^a\\.(\"?.*)$", "$1")}}').expression
    assert isinstance(expression, Replace)
    assert expression.of == EmailLocal(Trait("x"))
    assert expression.pattern.pattern == '^a\\.("?.*)$'
    assert expression.replacement == "$1"


@pytest.mark.parametrize(
    "text",
    [
        "{{", "}}", "{{}}", "{{x}}", "{{external}}", "{{external.}}", "{{external.1}}", "{{external.x}}{{external.y}}",
        "{{external.x}} }}", "{{external.x.y}}", "{{external[x]}}", '{{external["x"}}', "{{internal.nope}}",
        "{{email.local}}", "{{email.local(external.x}}", "{{email.upper(external.x)}}", "{{#}}", "{{external.x",
        '{{regexp.replace(external.x, y, "z")}}', '{{regexp.replace(external.x, "(?=a)", "z")}}',
        '{{regexp.replace(external.x "a", "z")}}', "{{external.%s}}" % ("x" * 2000),
        "{{" + "email.local(" * 20 + "external.x" + ")" * 20 + "}}",
    ],
)  # fmt: skip
def test_refused(text):
    with pytest.raises(BadParameter) as refused:
        parse(text)
    assert refused.value.code in ("POL-TEMPLATE", "POL-REGEXP")


@settings(max_examples=200)
@given(st.text(alphabet='{}.()"[],\\ internalxregpcm', max_size=40))
def test_reads_or_refuses(text):
    try:
        assert isinstance(parse(text), Template)
    except BadParameter:
        pass
