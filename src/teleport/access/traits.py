"""Traits: filling a user's attributes into the templates of roles.

One item with a template becomes one value per value of the trait. What cannot be filled in is dropped:
a missing trait, an address without `@`, a value in which the pattern finds nothing. A dropped item gives
nothing, and the rest of the role still counts.

Not here: the grammar of templates (`model.template`).
"""

from __future__ import annotations

from teleport.base.errors import BadParameter
from teleport.model.identity import Traits
from teleport.model.login import is_login
from teleport.model.template import EmailLocal, Expression, Trait, parse


def expand(item: str, traits: Traits) -> tuple[str, ...]:
    """Return the values of an item of a role for a user with these traits. Never raises.

    An item that cannot be read gives nothing: roles are checked when they are written, so this happens
    only to roles that an older version of the product stored.
    """
    try:
        prefix, expression, suffix = parse(item)
        if expression is None:
            return (item,)
        return tuple(prefix + value + suffix for value in _values(expression, traits))
    except BadParameter:
        return ()


def expand_logins(items: tuple[str, ...], traits: Traits) -> frozenset[str]:
    """Return the logins of a list of items. What is no login after filling in is left out."""
    return frozenset(login for item in items for login in expand(item, traits) if is_login(login))


def _values(expression: Expression, traits: Traits) -> tuple[str, ...]:
    if isinstance(expression, Trait):
        return traits.get(expression.name, ())
    inner = _values(expression.of, traits)
    if isinstance(expression, EmailLocal):
        return tuple(local for value in inner if (local := email_local(value)))
    replaced = (expression.pattern.replace(value, expression.replacement) for value in inner)
    return tuple(value for value in replaced if value)


def email_local(address: str) -> str:
    """Return the part of an address before its `@`; empty if it is no address."""
    local, at, domain = address.partition("@")
    return local if at and domain and "@" not in domain else ""
