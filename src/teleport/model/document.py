"""Documents: resources as people write and read them, in YAML.

Reading checks everything it can and tells all of it at once, each with its place. What a field means is
the kind's matter.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from typing import Any

import yaml as pyyaml

from teleport.base import yaml
from teleport.base.errors import BadParameter, TeleportError
from teleport.base.yaml_shape import without_nulls
from teleport.model import resource as kinds
from teleport.model.resource import Resource

_WIDTH = 80
_STEP = re.compile(r"[^.\[\]]+")
_BREAKS = "\x85\u2028\u2029"
"""What YAML takes for the end of a line, and would read back as a blank."""
_STRING = "tag:yaml.org,2002:str"


def read(text: str, source: str) -> list[Resource[Any]]:
    """Read every document of `text` as a checked resource; `source` is the name shown in errors.

    Raises BadParameter: KIND-EMPTY, CFG-YAML-SYNTAX, CFG-YAML-BOMB, CFG-YAML-FIELDS with every problem of
    every document; or, for one fault alone, its own error with its place.
    """
    documents = yaml.documents(text, source)
    if not documents:
        raise BadParameter("KIND-EMPTY")
    found: list[Resource[Any]] = []
    faults: list[TeleportError] = []
    problems: list[str] = []
    for document in documents:
        try:
            wrong = _shape_problems(document)
            problems += map(str, wrong)
            if not wrong:
                found.append(kinds.load(without_nulls(document.data)))
        except TeleportError as error:
            faults.append(error.at(document.where(_path(document, error))))
    if len(faults) == 1 and not problems:
        raise faults[0] from None
    if faults or problems:
        told = yaml.listed(source, [*problems, *(fault.what for fault in faults)])
        raise BadParameter("CFG-YAML-FIELDS", problems=told)
    return found


def _shape_problems(document: yaml.Document) -> list[yaml.Problem]:
    """Return what keeps a document from having its kind's shape. Raises BadParameter without a known kind."""
    if not isinstance(document.data, dict):
        raise BadParameter("KIND-NOT-A-MAP")
    name = document.data.get("kind")
    if not isinstance(name, str) or not name:
        raise BadParameter("KIND-MISSING")
    info = kinds.find(name)
    if document.data.get("version", info.default_version) not in info.versions:
        return []  # `load` says so better: another version may have another shape
    today = dataclasses.replace(document, data=info.cls.upgrade(document.data))
    return yaml.problems(today, info.cls)


def _path(document: yaml.Document, error: TeleportError) -> yaml.Path:
    """Return the path of the field that an error names, as far as it exists in the document."""
    named = {"KIND-UNKNOWN": "kind", "KIND-VERSION": "version", "KIND-NAME": "metadata.name"}.get(error.code, "")
    steps = _STEP.findall(error.fields.get("field", named))
    path = tuple(int(step) if step.isdecimal() else step for step in steps)
    inside = document.data.get("spec") if isinstance(document.data, dict) else None
    if path and isinstance(inside, dict) and path[0] in inside and path[0] not in document.data:
        return ("spec", *path)
    return path


def dump_yaml(resources: Iterable[Resource[Any]], *, secrets: bool = False) -> str:
    """Write resources as `tctl get` shows them: sorted keys, `---` between documents, lines folded at 80."""
    return "---\n".join(
        pyyaml.dump(
            kinds.dump(resource, secrets=secrets),
            Dumper=_Dumper,
            width=_WIDTH,
            allow_unicode=True,
            default_flow_style=False,
        )
        for resource in resources
    )


def write(data: object) -> str:
    """Write plain data as one YAML document, keys in their order."""
    text: str = pyyaml.dump(
        data, Dumper=_Dumper, width=_WIDTH, allow_unicode=True, default_flow_style=False, sort_keys=False
    )
    return text


class _Dumper(pyyaml.SafeDumper):
    """Writes text that could be taken for something else in double quotes, several lines as a block."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_str(self, data: str) -> pyyaml.ScalarNode:
        style = None
        resolve: Any = self.resolve
        if any(c in data for c in _BREAKS):
            style = '"'
        elif "\n" in data:
            style = "|"
        elif not data or resolve(pyyaml.ScalarNode, data, (True, False)) != _STRING:
            style = '"'
        return self.represent_scalar(_STRING, data, style=style)


_Dumper.add_representer(str, _Dumper.represent_str)
