"""Sides: which things one side of a role speaks of, by labels and by a label expression together.

Allowing needs both to hold, denying either. An expression that cannot be read or evaluated never allows and always
denies.
"""

from __future__ import annotations

from collections.abc import Mapping

from teleport.access.labels import Selector
from teleport.access.predicate import LABELS, Predicate, Value, evaluate, parse
from teleport.base.errors import BadParameter
from teleport.model.identity import Traits
from teleport.model.role_spec import Labels, Side


class LabelSide:
    """Selector and expression of one side, compiled for a user's traits."""

    __slots__ = ("_expression", "_side", "broken", "expression", "selector")

    def __init__(self, labels: Labels, expression: str, side: Side, traits: Traits) -> None:
        self._side = side
        self.selector = Selector(labels, traits)
        self.expression = expression
        self.broken = ""
        """Why the expression cannot be read; empty if it can."""
        self._expression: Predicate | None = None
        if expression:
            try:
                self._expression = parse(expression, LABELS)
            except BadParameter as error:
                self.broken = str(error)

    @property
    def speaks(self) -> bool:
        """Whether this side says anything of labels."""
        return bool(self.selector or self.expression)

    def selects(self, labels: Mapping[str, str], user: Value) -> bool:
        """Whether a thing with these labels is meant: allowing needs labels and expression, denying either."""
        if not self.expression:
            return self.selector.matches(labels)
        if self._side == "deny":
            return self.selector.matches(labels) or self.expression_holds(labels, user)
        return (not self.selector or self.selector.matches(labels)) and self.expression_holds(labels, user)

    def expression_holds(self, labels: Mapping[str, str], user: Value) -> bool:
        """Evaluate the label expression."""
        try:
            if self._expression is not None:
                return evaluate(self._expression, {"labels": labels, "user": user})
        except BadParameter:
            pass
        return self._side == "deny"
