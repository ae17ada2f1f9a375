"""The page of tbot.yaml: every key of every section, what it may be, its default, and what it means.

All of it is asked of the code (`teleport.model.config.tbot_*`): the meaning of a key is the text behind its field.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import types
import typing
from collections.abc import Iterator

import msgspec

from teleport.base.struct import Duration, Switch
from teleport.model.config import tbot_destinations, tbot_forms, tbot_services, tbot_yaml
from teleport.model.config.tbot_services import LATER
from teleport.model.later import Later

HEAD = """\
# Configuration: tbot.yaml

Version v2, which begins with `version: v2`. A file without that line is of version v1: it is read as what it means in
v2, with a warning, and `tbot migrate` prints it so. Unknown keys are errors with their place (`TBOT-PROBLEMS`).
Keys marked *later* are known, and refused where they would change what happens (`CONFIG-NOT-SUPPORTED`). What the
command line says wins over the file: `tbot start --help`. The guide: [tbot](../guides/tbot.md).

Older names: `certificate_ttl` for `credential_ttl`, `outputs` for `services` (entries of both lists count),
`static_private_key_path` for `static_key_path`. A destination may be written shortly: `directory: /opt/machine-id`.
"""
PARTS = (
    ("The file", tbot_yaml.TbotYaml),
    ("onboarding", tbot_yaml.Onboarding),
    ("onboarding.azure", tbot_yaml.AzureOnboarding),
    ("onboarding.gitlab", tbot_yaml.GitlabOnboarding),
    ("onboarding.kubernetes", tbot_yaml.KubernetesOnboarding),
    ("onboarding.bound_keypair", tbot_yaml.BoundKeypairOnboarding),
)
WORDS = {
    str: "text", int: "number", bool: "yes or no", Switch: "yes or no", Duration: "time, as `1h30m`",
    tbot_services.KubernetesSelector: "selector", tbot_destinations.Reader: "reader",
}  # fmt: skip


def page() -> Iterator[str]:
    """Yield the lines of the page."""
    yield HEAD
    for title, part in PARTS:
        yield from _part(title, part)
    for name, part in tbot_forms.DESTINATIONS.items():
        yield from _part(f"Destination `type: {name}`", part)
    yield from _part("Reader", tbot_destinations.Reader)
    for name, part in tbot_forms.SERVICES.items():
        yield from _part(f"Service `type: {name}`", part)
    yield from _part("Selector", tbot_services.KubernetesSelector)
    yield f"\n## Services that are not there yet\n\n{', '.join(f'`{name}`' for name in LATER)}"


def _part(title: str, part: type[msgspec.Struct]) -> Iterator[str]:
    yield f"\n## {title}\n\n{(part.__doc__ or '').strip()}"
    if msgspec.structs.fields(part):
        yield "\n| key | value | default | |\n|---|---|---|---|"
    hints, meanings = typing.get_type_hints(part, include_extras=True), _meanings(part)
    for field in msgspec.structs.fields(part):
        key, hint = field.encode_name, hints[field.name]
        later = any(isinstance(note, Later) for note in getattr(hint, "__metadata__", ()))
        words, default = ("*later*", "") if later else (_words(hint), _default(field))
        yield f"| `{key}` | {words} | {default} | {meanings.get(field.name, '')} |"


def _words(hint: object) -> str:
    """Return a type as people say it."""
    inside = [each for each in typing.get_args(hint) if each not in (type(None), Ellipsis)]
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return ", ".join(f"`{word}`" for word in inside if word)
    if origin is tuple:
        return f"list: {_words(inside[0])}"
    if origin is dict:
        return "map of text"
    if origin in (typing.Union, types.UnionType):
        if any(_is(each, msgspec.Struct) for each in inside):
            return "destination" if tbot_destinations.MemoryDestination in inside else "service"
        return " or ".join(map(_words, inside))
    if _is(hint, tbot_destinations.DirectoryDestination):
        return "destination, `directory` alone"
    return WORDS.get(typing.cast("type", hint), "section")


def _is(hint: object, kind: type) -> bool:
    return isinstance(hint, type) and issubclass(hint, kind)


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "**required**"
    value = field.default
    if isinstance(value, (Switch, bool)):
        return "yes" if value else "no"
    if isinstance(value, tbot_destinations.DirectoryDestination):
        return f"`{value}`"
    return "" if value in (None, "", (), msgspec.NODEFAULT) or isinstance(value, msgspec.Struct) else f"`{value}`"


def _meanings(part: type) -> dict[str, str]:
    """Return the texts behind the fields of a class and of those it is made from."""
    found: dict[str, str] = {}
    for cls in reversed([each for each in part.__mro__ if each.__module__.startswith("teleport.model.config")]):
        body = typing.cast("ast.ClassDef", ast.parse(inspect.getsource(cls)).body[0]).body
        for field, text in itertools.pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and _is_text(text):
                found[field.target.id] = " ".join(ast.literal_eval(typing.cast("ast.Expr", text).value).split())
    return found


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
