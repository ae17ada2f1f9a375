"""JSON without `json`: that module brings `re` and its compiler, which take longer than reading a small file may.

The scanner is the C half on which `json.loads` stands; what is here is the little around it.
"""

from __future__ import annotations

from teleport.base.lean import TYPE_CHECKING, Callable

_BLANKS = " \t\n\r"

if TYPE_CHECKING:
    from typing import Any


class _Rules:
    """What the scanner asks its context for: Python's own types, and strict texts."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant: Callable[[str], float] = float
    memo: dict[str, str] = {}


def loads(text: str) -> object:
    """Return the one value that `text` holds. Raises ValueError, RecursionError."""
    try:
        from _json import make_scanner
    except ImportError:  # no C half here
        import json

        found: object = json.loads(text)
        return found
    rules: Any = _Rules
    scan: Callable[[str, int], tuple[Any, int]] = make_scanner(rules)
    start = len(text) - len(text.lstrip(_BLANKS))
    try:
        value, end = scan(text, start)
    except StopIteration:
        raise ValueError("it is no JSON") from None
    if text[end:].strip(_BLANKS):
        raise ValueError("something follows the value")
    return value
