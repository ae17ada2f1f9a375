"""Rules of a token: what all join methods share.

Rules are OR; fields of a rule are AND; an empty field is any value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from teleport.base.errors import BadParameter
from teleport.base.struct import Struct

MOST_RULES = 200
_LONGEST = 2048


def demand(condition: object, method: str, problem: str) -> None:
    """Raise BadParameter (KIND-TOKEN-BLOCK) with `problem` unless `condition` holds."""
    if not condition:
        raise BadParameter("KIND-TOKEN-BLOCK", method=method, problem=problem)


def check_rules(method: str, rules: Sequence[Struct], one_of: Iterable[str]) -> None:
    """Raise BadParameter (KIND-TOKEN-BLOCK) unless there are rules, each of which sets one of some fields."""
    words = tuple(one_of)
    demand(rules, method, f"the {method} join method requires defined token allow rules")
    demand(len(rules) <= MOST_RULES, method, f"there are more than {MOST_RULES} rules")
    for index, rule in enumerate(rules):
        named = any(getattr(rule, word) for word in words)
        demand(named, method, f"allow[{index}] must set at least one of {', '.join(words)}")
        for word in rule.__struct_fields__:
            value = getattr(rule, word)
            demand(not isinstance(value, str) or len(value) <= _LONGEST, method, f"allow[{index}].{word} is too long")


def matches(rule: Struct, claims: Mapping[str, object], *, glob: Iterable[str] = ()) -> bool:
    """Whether every field that the rule sets equals the claim of its name; those in `glob` may have `*` and `?`.

    A claim that is no text, or is not there, equals nothing.
    """
    patterns = frozenset(glob)
    for word in rule.__struct_fields__:
        wanted = getattr(rule, word)
        if wanted in ("", None):
            continue
        found = claims.get(word)
        if isinstance(wanted, bool):
            found, wanted = str(found).lower(), str(wanted).lower()
        if not isinstance(found, str):
            return False
        if found != wanted and not (word in patterns and glob_matches(wanted, found)):
            return False
    return True


def glob_matches(pattern: str, text: str) -> bool:
    """Whether all of `text` is what `pattern` says: `*` is any run of characters, `?` any single one, and everything
    else is itself. Takes steps in proportion to the product of the lengths at most."""
    p = t = resume = 0
    star = -1
    while t < len(text):
        if p < len(pattern) and pattern[p] == "*":
            star, resume, p = p, t, p + 1
        elif p < len(pattern) and pattern[p] in ("?", text[t]):
            p, t = p + 1, t + 1
        elif star >= 0:
            resume += 1
            p, t = star + 1, resume
        else:
            return False
    return all(character == "*" for character in pattern[p:])
