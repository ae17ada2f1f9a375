"""Proxy templates: rules of a file that rewrite the name of a node before the proxy is asked for it.

    proxy_templates:
      - template: '^([a-z]+)[.]short:([0-9]+)$'
        host: "$1.example.com:$2"

The first rule whose pattern finds something in `host:port` decides. Patterns are those of RE2; `$1` and `${name}` stand
for groups. All nodes are reached through the proxy of the bot, so a rule must not name another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from teleport.base import regexp, yaml
from teleport.base.disk import Disk
from teleport.base.errors import NotSupported
from teleport.base.regexp import Regexp
from teleport.base.struct import Struct

MAX_FILE = 1 << 20


class Rule(Struct, frozen=True, kw_only=True):
    """One rule of the file."""

    template: str
    host: str = ""
    """Empty: as it was."""
    cluster: str = ""
    """Empty: the bot's."""
    proxy: str = ""
    query: str = ""
    search: str = ""


class File(Struct, frozen=True, kw_only=True):
    """The whole file."""

    proxy_templates: tuple[Rule, ...] = ()


class Template(NamedTuple):
    """A rule that was read."""

    pattern: Regexp
    host: str
    cluster: str


class Meant(NamedTuple):
    """Where a client is to be brought."""

    target: str
    cluster: str
    """Empty: the bot's."""


def read(disk: Disk, path: str) -> tuple[Template, ...]:
    """Read a file. Raises BadParameter (CFG-YAML-*, POL-REGEXP), NotSupported (MUX-TEMPLATES), DISK-*."""
    text = disk.read(path, limit=MAX_FILE).decode(errors="replace")
    rules = [rule for document in yaml.documents(text, path) for rule in yaml.read(document, File).proxy_templates]
    for number, rule in enumerate(rules, 1):
        named = [word for word in ("proxy", "query", "search") if getattr(rule, word)]
        if named:
            raise NotSupported("MUX-TEMPLATES", path=path, number=number, field=named[0])
    return tuple(Template(regexp.compile(rule.template), rule.host, rule.cluster) for rule in rules)


def apply(templates: Sequence[Template], target: str) -> Meant:
    """Return where `host:port` leads. Raises BadParameter (POL-REGEXP) for a result that is too long."""
    for template in templates:
        found = template.pattern.expand(target, template.host)
        if found is not None:
            cluster = template.pattern.expand(target, template.cluster)
            return Meant(found or target, cluster or "")
    return Meant(target, "")
