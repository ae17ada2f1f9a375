"""Selection: which of the resources that a caller may see were asked for: labels, words, a predicate."""

from __future__ import annotations

from typing import Any

from teleport.access.predicate import QUERY, Predicate, evaluate, parse
from teleport.api.messages import Selection
from teleport.base.errors import BadParameter
from teleport.base.struct import plain
from teleport.model.resource import Resource

MOST_WORDS = 16


class Filter:
    """The conditions of a selection, compiled. Raises BadParameter (POL-PREDICATE) for one that cannot be read."""

    def __init__(self, selection: Selection) -> None:
        self._labels = dict(selection.labels)
        self._words = tuple(word.lower() for word in selection.search[:MOST_WORDS] if word)
        self._query: Predicate | None = parse(selection.query, QUERY) if selection.query else None

    def __call__(self, resource: Resource[Any]) -> bool:
        """Say whether every condition holds."""
        labels = resource.labels_now()
        if any(labels.get(key) != value for key, value in self._labels.items()):
            return False
        if self._words and not self._contains(resource):
            return False
        if self._query is None:
            return True
        try:
            return evaluate(
                self._query, {"labels": dict(labels), "name": resource.name, "resource": plain(resource)}
            )  # fmt: skip
        except BadParameter:
            return False  # a value of this one has not the type that the query wants

    def _contains(self, resource: Resource[Any]) -> bool:
        labels = resource.labels_now()
        cells = [str(column.cell(resource)) for column in resource.info.columns]
        hostname = str(getattr(resource.spec, "hostname", ""))
        places = [text.lower() for text in (resource.name, hostname, *cells, *labels, *labels.values())]
        return all(any(word in place for place in places) for word in self._words)
