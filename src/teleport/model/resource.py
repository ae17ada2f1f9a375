"""Resource: the shape every kind shares, and the registry in which a kind declares itself.

A kind is one file in `model/kinds/`, named like the kind. Its class says what the document holds; its
`@kind(...)` says where it is stored, what it is called and how it is shown. Storage, rules, the API,
`tctl` and the reference pages follow from that and contain no list of kinds.
"""

from __future__ import annotations

import datetime as dt
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Generic, TypeVar

import msgspec

from teleport.base.errors import BadParameter
from teleport.base.struct import Struct, convert, plain
from teleport.model.naming import check_metadata, check_time

S = TypeVar("S")
R = TypeVar("R", bound="Resource[Any]")


Time = Annotated[dt.datetime, msgspec.Meta(tz=True)]
"""A moment, with its zone: written as RFC 3339 with `Z` or an offset."""


class Metadata(Struct, frozen=True, kw_only=True):
    """What every stored thing carries beside its spec."""

    name: str = ""
    description: str = ""
    labels: dict[str, str] = {}
    expires: Time | None = None
    revision: str = ""
    namespace: str = "default"
    id: int = 0
    """Revision of servers of long ago. It is read, so that their documents load, and means nothing."""


class Resource(Struct, Generic[S], frozen=True, kw_only=True, tag_field="kind"):
    """A named, validated, stored thing. Subclasses give `spec` its shape and a tag equal to the kind's name."""

    version: str = ""
    sub_kind: str = ""
    metadata: Metadata = Metadata()
    spec: S

    info: ClassVar[KindInfo]

    @property
    def name(self) -> str:
        """Shorthand for `metadata.name`."""
        return self.metadata.name

    @classmethod
    def upgrade(cls, document: dict[str, Any]) -> dict[str, Any]:
        """Turn a document of an older version into today's shape. Kinds with history override it."""
        return document

    def check(self) -> None:
        """Raise BadParameter when fields contradict each other. Kinds with rules override it."""

    def labels_now(self) -> Mapping[str, str]:
        """Labels that selectors match: static ones, and those of commands where a kind has them."""
        return self.metadata.labels

    def with_metadata(self: R, **changes: Any) -> R:
        """Return a copy whose metadata differs in the given fields."""
        return msgspec.structs.replace(self, metadata=msgspec.structs.replace(self.metadata, **changes))


@dataclass(frozen=True)
class Column:
    """A column of the kind's table: its heading and how a cell is made from a resource."""

    heading: str
    cell: Callable[[Any], str]


NAME = Column("Name", lambda resource: str(resource.metadata.name))


@dataclass(frozen=True)
class KindInfo:
    """What a kind declares about itself."""

    name: str
    cls: type[Resource[Any]]
    key: str
    """Storage prefix without slashes: `roles` stores at `/roles/<name>`; with `by_sub_kind` at
    `/roles/<sub_kind>/<name>`."""
    versions: tuple[str, ...]
    """Accepted versions, oldest first; the last one is written when a document names none."""
    default_version: str
    aliases: tuple[str, ...]
    columns: tuple[Column, ...]
    selector: str
    """Field of a role that selects this kind by label, for example `node_labels`; empty: by rules alone."""
    singleton: str
    """Fixed name of a kind that exists once; empty for all others."""
    by_sub_kind: bool
    """Whether a name is unique only within its `sub_kind` (cert_authority)."""
    writable: frozenset[str]
    """What people may do with it: subset of create, edit, rm."""
    messages: Mapping[str, str]
    """Texts that differ from `<kind> "<name>" has been created|updated|deleted`, by `create`, `update`,
    `delete`; `str.format` templates with `name` and `sub_kind`."""
    events: Mapping[str, tuple[str, str]]
    """Audit event and code for `create`, `update`, `delete`, for example `("role.created", "T9000I")`."""
    generated_name: bool = False
    """Whether the server gives a name to a document without one (lock)."""
    owner: Callable[[Any], str] | None = None
    """What one belongs to, for kinds whose names people write behind it: `bot_instance/<bot>/<uuid>`."""


_registry: dict[str, KindInfo] = {}


def kind(
    *,
    key: str,
    versions: tuple[str, ...],
    default_version: str = "",
    aliases: tuple[str, ...] = (),
    columns: tuple[Column, ...] = (NAME,),
    selector: str = "",
    singleton: str = "",
    by_sub_kind: bool = False,
    writable: tuple[str, ...] = ("create", "edit", "rm"),
    messages: Mapping[str, str] | None = None,
    events: Mapping[str, tuple[str, str]] | None = None,
    generated_name: bool = False,
    owner: Callable[[Any], str] | None = None,
) -> Callable[[type[R]], type[R]]:
    """Declare a Resource subclass as a kind. The name is the class's msgspec tag."""

    def register(cls: type[R]) -> type[R]:
        name = str(cls.__struct_config__.tag)
        info = KindInfo(
            name=name, cls=cls, key=key, versions=versions, default_version=default_version or versions[-1],
            aliases=(name, *aliases), columns=columns, selector=selector, singleton=singleton,
            by_sub_kind=by_sub_kind, writable=frozenset(writable), messages=messages or {}, events=events or {},
            generated_name=generated_name, owner=owner,
        )  # fmt: skip
        cls.info = info
        _registry[name] = info
        return cls

    return register


def find(name: str) -> KindInfo:
    """Return the kind with exactly this name; opens one file. Raises BadParameter (KIND-UNKNOWN)."""
    if name not in _registry and name.isidentifier():
        try:
            importlib.import_module(f"teleport.model.kinds.{name}")
        except ModuleNotFoundError:
            pass
    try:
        return _registry[name]
    except KeyError:
        raise BadParameter("KIND-UNKNOWN", kind=name[:60]) from None


def every() -> Iterator[KindInfo]:
    """Yield every kind, in order of name. Opens all files."""
    package = importlib.import_module("teleport.model.kinds")
    for module in sorted(m.name for m in pkgutil.iter_modules(package.__path__)):
        importlib.import_module(f"teleport.model.kinds.{module}")
        if module in _registry:
            yield _registry[module]


def resolve(word: str) -> KindInfo:
    """Return the kind that `word` names, by name or alias, in any case. Raises BadParameter (KIND-UNKNOWN)."""
    wanted = word.lower()
    try:
        return find(wanted)
    except BadParameter:
        pass
    for info in every():
        if wanted in info.aliases:
            return info
    raise BadParameter("KIND-UNKNOWN", kind=word[:60])


def load(document: Mapping[str, Any]) -> Resource[Any]:
    """Turn a plain document into a checked resource.

    Raises BadParameter: KIND-MISSING, KIND-UNKNOWN, KIND-VERSION, KIND-FIELD (with the path of the field),
    KIND-NAME, KIND-LABEL, KIND-TEXT, KIND-TIME, KIND-NAMESPACE, or the kind's own code.
    Line numbers are added by `base.yaml`, which knows the source.
    """
    name = document.get("kind")
    if not isinstance(name, str) or not name:
        raise BadParameter("KIND-MISSING")
    info = find(name)
    filled = {"version": info.default_version, **document}
    if filled["version"] not in info.versions:
        raise BadParameter("KIND-VERSION", kind=name, version=filled["version"], known=", ".join(info.versions))
    try:
        resource = convert(info.cls.upgrade(filled), info.cls)
    except msgspec.ValidationError as error:
        raise BadParameter("KIND-FIELD", kind=name, problem=str(error)) from None
    if info.singleton and resource.name != info.singleton:
        resource = resource.with_metadata(name=info.singleton)
    if not resource.name and not info.generated_name:
        raise BadParameter("KIND-NAME", kind=name, name="''", problem="it is empty")
    about = resource.metadata
    check_metadata(name, about.name, about.description, about.labels, about.namespace)
    check_time(name, "metadata.expires", about.expires)
    resource.check()
    return resource


def dump(resource: Resource[Any], *, secrets: bool = False) -> dict[str, Any]:
    """Turn a resource into a plain document with sorted keys, as `tctl get` shows it."""
    document: dict[str, Any] = _sorted(plain(resource, secrets=secrets))
    return document


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(entry) for entry in value] if isinstance(value, (list, tuple)) else value
