"""Templates: the `{{...}}` of roles, read into a small tree.

Forms: `{{internal.logins}}`, `{{external.team}}`, `{{external["with space"]}}`,
`{{email.local(external.email)}}`, `{{regexp.replace(external.team, "^x-(.*)$", "$1")}}`, with fixed text
before and after one expression. Reading happens when a role is written, so that a typing error is told
to its author; filling in a user's traits is `access.traits`.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple, Union

from teleport.base.errors import BadParameter
from teleport.base.regexp import Regexp
from teleport.base.regexp import compile as compile_regexp

MAX_LENGTH = 1024
"""Characters of a templated value."""
MAX_DEPTH = 8
"""Functions within functions."""

INTERNAL = frozenset({
    "logins", "windows_logins", "kubernetes_users", "kubernetes_groups", "db_users", "db_names", "db_roles",
    "aws_role_arns", "azure_identities", "gcp_service_accounts", "github_orgs", "mcp_tools", "jwt",
    "host_user_uid", "host_user_gid",
})  # fmt: skip
"""Traits that `internal.` may name. `external.` may name any."""


class Trait(NamedTuple):
    """All values of one trait."""

    name: str


class EmailLocal(NamedTuple):
    """The part before the `@` of each value."""

    of: Expression


class Replace(NamedTuple):
    """Each value that the pattern finds something in, with that replaced."""

    of: Expression
    pattern: Regexp
    replacement: str


Expression = Union[Trait, EmailLocal, Replace]  # noqa: UP007 - evaluated at run time, with forward references


class Template(NamedTuple):
    """Fixed text around at most one expression."""

    prefix: str
    expression: Expression | None = None
    suffix: str = ""


_TOKEN = re.compile(r'\s*(?:([A-Za-z_][A-Za-z0-9_-]*)|("(?:[^"\\]|\\.)*")|([.,()\[\]]))')


@functools.lru_cache(maxsize=4096)
def parse(text: str) -> Template:
    """Read a value that may hold a template. Raises BadParameter (POL-TEMPLATE, POL-REGEXP)."""
    head, opened, rest = text.partition("{{")
    if not opened:
        if "}}" in text:
            raise _refused(text, "}} without {{")
        return Template(text)
    inside, closed, tail = rest.partition("}}")
    if not closed:
        raise _refused(text, "{{ without }}")
    if "{{" in tail or "}}" in tail:
        raise _refused(text, "one value may hold one expression")
    if len(text) > MAX_LENGTH:
        raise _refused(text, "it is too long")
    return Template(head, _Parser(text, inside).whole(), tail)


def _refused(text: str, problem: str) -> BadParameter:
    return BadParameter("POL-TEMPLATE", template=text[:80], problem=problem)


class _Parser:
    """Reads the inside of one `{{...}}` by recursive descent."""

    def __init__(self, text: str, inside: str) -> None:
        self.text = text
        self.tokens = self._tokens(inside.strip())
        self.at = 0

    def _tokens(self, inside: str) -> list[str]:
        tokens: list[str] = []
        at = 0
        while at < len(inside):
            match = _TOKEN.match(inside, at)
            if match is None:
                raise _refused(self.text, f"unexpected {inside[at]!r}")
            tokens.append(match[0].strip())
            at = match.end()
        return tokens

    def whole(self) -> Expression:
        found = self._expression(0)
        if self.at < len(self.tokens):
            raise _refused(self.text, f"unexpected {self.tokens[self.at]!r}")
        return found

    def _next(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1] if self.at <= len(self.tokens) else ""

    def _expect(self, token: str) -> None:
        if (found := self._next()) != token:
            raise _refused(self.text, f"expected {token} and found {found or 'the end'}")

    def _string(self) -> str:
        token = self._next()
        if not token.startswith('"'):
            raise _refused(self.text, "expected a text in double quotes")
        return re.sub(r'\\(["\\])', r"\1", token[1:-1])

    def _expression(self, depth: int) -> Expression:
        if depth > MAX_DEPTH:
            raise _refused(self.text, "functions are nested too deeply")
        word = self._next()
        if word in ("internal", "external"):
            return self._trait(word)
        function = word + self._next() + self._next()
        if function not in ("email.local", "regexp.replace"):
            raise _refused(self.text, "expected internal, external, email.local or regexp.replace")
        self._expect("(")
        of = self._expression(depth + 1)
        found: Expression = EmailLocal(of)
        if function == "regexp.replace":
            self._expect(",")
            pattern = self._string()
            self._expect(",")
            found = Replace(of, compile_regexp(pattern), self._string())
        self._expect(")")
        return found

    def _trait(self, namespace: str) -> Trait:
        separator = self._next()
        if separator == "[":
            name = self._string()
            self._expect("]")
        elif separator == ".":
            name = self._next()
            if not (name[:1].isalpha() or name[:1] == "_"):
                raise _refused(self.text, f"expected the name of a trait after {namespace}.")
        else:
            raise _refused(self.text, f"expected a trait: {namespace}.name")
        if namespace == "internal" and name not in INTERNAL:
            raise _refused(self.text, f"internal.{name} is no trait of this product; external.{name} reads any trait")
        return Trait(name)
