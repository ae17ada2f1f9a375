"""The page of teleport.yaml: every documented key, its default, and what this build does with it.

What happens to a key is asked of the code (`teleport.model.config`); which keys the format documents stands in
`config_keys.txt`; that a key is enforced is claimed by tests, with `@pytest.mark.config("section.key")`.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from teleport.base.errors import NotSupported
from teleport.base.struct import Switch
from teleport.model.config import teleport_yaml
from teleport.model.config.teleport_yaml import TeleportYaml
from teleport.model.later import Leaf, leaves

ROOT = Path(__file__).resolve().parent.parent
KEYS = Path(__file__).with_name("config_keys.txt")
HEAD = """\
# Configuration: teleport.yaml

Every key of the format, in files of version v1, v2 and v3. A key is *enforced*, and the tests named beside it see what
it does; or it is *refused*: a file that says more than its default is not started (`CONFIG-NOT-SUPPORTED`, with the
place). Unknown keys are errors (`CONFIG-PROBLEMS`). Nothing is ignored, but in services that are not enabled.
"""


class Documented(NamedTuple):
    """A key as the format documents it."""

    key: str
    default: str
    values: tuple[str, ...]
    """Values to try, as they are written in the file."""


def documented() -> list[Documented]:
    """Read the list of keys."""
    found, section = [], ""
    for line in KEYS.read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]") + "."
        elif line and not line.startswith("#"):
            key, default, values = (*line.split("\t"), "")[:3]
            found.append(Documented(section + key, default, tuple(filter(None, values.split("|")))))
    return found


def known() -> dict[str, Leaf]:
    """Return what the model knows, by dotted path."""
    return {".".join(leaf.path): leaf for leaf in leaves(TeleportYaml)}


def leaf_of(key: str, known: Mapping[str, Leaf]) -> Leaf | None:
    """Return the field that decides about a key: its own, or that of the part it is in; None for none."""
    while key:
        for name in (key, key.removesuffix("[]")):
            if name in known:
                return known[name]
        key = key.rpartition(".")[0]
    return None


def undocumented(known: Mapping[str, Leaf]) -> list[str]:
    """Return the fields of the model that are in no documented key."""
    keys = [entry.key for entry in documented()]
    return [n for n in known if not any(key == n or key.startswith((f"{n}.", f"{n}[]")) for key in keys)]


def claims(folder: Path = ROOT / "tests") -> dict[str, list[str]]:
    """Return which tests claim to see what a key does, by key: `tests/unit/x/test_y.py::test_z`."""
    found = defaultdict(list)
    for path in sorted(folder.rglob("test_*.py")):
        text = path.read_text()
        if "mark.config" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for key in _claimed(node):
                    found[key].append(f"{path.relative_to(ROOT)}::{node.name}")
    return dict(found)


def _claimed(function: ast.FunctionDef) -> Iterator[str]:
    for mark in function.decorator_list:
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.config":
            yield from (ast.literal_eval(argument) for argument in mark.args)


def page() -> Iterator[str]:
    """The page of teleport.yaml."""
    fields, claimed, section = known(), claims(), ""
    if missing := undocumented(fields):
        raise SystemExit(f"config_page: config_keys.txt has not {', '.join(missing)}")
    yield HEAD
    for entry in documented():
        here = entry.key.partition(".")[0]
        if here != section:
            yield f"\n## {here}\n\n| key | default | here |\n|---|---|---|"
            section = here
        leaf = leaf_of(entry.key, fields)
        if leaf is None:
            raise SystemExit(f"config_page: the model does not know {entry.key}")
        short = entry.key.partition(".")[2] or entry.key
        yield f"| `{short}` | {_default(entry, leaf)} | {_fate(entry, leaf, claimed)} |"


def _default(entry: Documented, leaf: Leaf) -> str:
    """Return the default of the code where it has one, otherwise what the documentation says."""
    value = leaf.default
    if leaf.later is not None or value in (None, "", ()) or isinstance(value, dict):
        return entry.default
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return ("yes" if value else "no") if isinstance(value, Switch) else str(value)


def _fate(entry: Documented, leaf: Leaf, claimed: Mapping[str, list[str]]) -> str:
    """Return what happens to a key, in words."""
    if leaf.later is not None:
        name = ".".join(leaf.path)
        accepted = f"; {leaf.later.supported} is accepted" if leaf.later.harmless else ""
        return "refused" + (accepted if name == entry.key else f" with `{name}`")
    seen = ", ".join(f"`{test.rpartition('::')[2]}` ({test.partition('::')[0]})" for test in claimed.get(entry.key, ()))
    refused = ", ".join(f"`{value}`" for value in entry.values if _is_refused(entry.key, value))
    return f"enforced: {seen}" + (f"; refused: {refused}" if refused else "")


def _is_refused(key: str, value: str) -> bool:
    text = f"version: v3\n{key.replace('.', ': {')}: {value}{'}' * key.count('.')}\n"
    try:
        teleport_yaml.load(text, "tried")
    except NotSupported:
        return True
    return False
