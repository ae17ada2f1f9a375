"""Mutation of JSON documents as trees: right syntax around wrong values, keys and shapes.

Most random changes of a document's bytes stop at its syntax; these reach the code behind it.
"""

from __future__ import annotations

import copy
import json
from random import Random
from typing import Any

_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**64), 1e300, 0.1, "", " ", "yes", "no", "off", "never", "1h", "-1s",
    "*", "^(a*)*$", "{{internal.logins}}", "{{external.x", "a,b", "a/b", "../../x", "-x", "a\nb", "\x1b[2J", "\x00",
    "e\u0301", "\u202e", "\ud800", "0x" + "f" * 5000, "x" * 5000, "teleport.internal/x", "2026-01-02T03:04:05Z", "v3",
    "v99", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "::1", "localhost:99999", [], {}, [None], [[]],
    {"": ""}, {"*": "*"}, ["*"], {"a": {"b": {"c": {}}}},
)  # fmt: skip


def mutate(random: Random, data: bytes, other: bytes) -> bytes | None:
    """Return a mutation of the JSON in `data`, with parts of that in `other`; None if it is no JSON."""
    try:
        tree, lender = json.loads(data), json.loads(other)
    except (ValueError, RecursionError):
        return None
    holder = {"root": copy.deepcopy(tree)}
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        _change(random, holder, [entry for _, _, entry in _places({"root": lender})])
    try:
        return json.dumps(holder["root"], ensure_ascii=random.random() < 0.5).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        return None


def _places(holder: Any) -> list[tuple[Any, Any, Any]]:
    """Return container, key and value of everything inside, in order."""
    found: list[tuple[Any, Any, Any]] = []
    todo = [holder]
    while todo and len(found) < 2000:
        container = todo.pop()
        entries = list(container.items()) if isinstance(container, dict) else list(enumerate(container))
        for key, value in entries:
            found.append((container, key, value))
            if isinstance(value, (dict, list)):
                todo.append(value)
    return found


def _change(random: Random, holder: dict[str, Any], loans: list[Any]) -> None:
    places = _places(holder)
    container, key, value = random.choice(places)
    match random.randrange(8):
        case 0 | 1:
            container[key] = copy.deepcopy(random.choice(_VALUES))
        case 2:
            container[key] = copy.deepcopy(random.choice(loans))
        case 3 if key != "root":
            del container[key]
        case 4 if isinstance(container, dict) and key != "root":
            names = [name for _, name, _ in places if isinstance(name, str)]
            container[random.choice([*names, key + "x", key.upper(), key[:-1], "", "kind"])] = container.pop(key)
        case 5:
            container[key] = [value] if random.random() < 0.5 else {str(key): value}
        case 6 if isinstance(value, list) and value:
            container[key] = value * random.choice((2, 3, 300))
        case 7 if isinstance(value, str) and value:
            at = random.randrange(len(value))
            container[key] = value[:at] + str(random.choice(_VALUES)) + value[at + random.randrange(2) :]
        case _:
            container[key] = random.choice(_VALUES[:20])
