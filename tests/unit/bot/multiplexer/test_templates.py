"""Proxy templates: the first rule that fits rewrites the name."""

from __future__ import annotations

import pytest

from teleport.base.disk import MemoryDisk
from teleport.base.errors import BadParameter, NotSupported
from teleport.bot.multiplexer import templates
from teleport.bot.multiplexer.templates import Meant

FILE = r"""
proxy_templates:
- template: '^([a-z]+)\.short:([0-9]+)$'
  host: "$1.example.com:$2"
- template: '\.(leaf\.example\.com):[0-9]+$'
  cluster: "$1"
- template: '^[a-z]+\.short'
  host: never
"""


def read(text: str) -> tuple[templates.Template, ...]:
    disk = MemoryDisk()
    disk.write("/t.yaml", text.encode())
    return templates.read(disk, "/t.yaml")


@pytest.mark.parametrize(
    ("target", "meant"),
    [
        ("db.short:3022", Meant("db.example.com:3022", "")),
        ("db.leaf.example.com:22", Meant("db.leaf.example.com:22", "leaf.example.com")),
        ("db.example.org:22", Meant("db.example.org:22", "")),
    ],
)
def test_the_first_rule_that_fits_decides(target: str, meant: Meant) -> None:
    assert templates.apply(read(FILE), target) == meant


@pytest.mark.parametrize("field", ["proxy", "query", "search"])
def test_what_is_not_acted_on_is_refused(field: str) -> None:
    with pytest.raises(NotSupported) as caught:
        read(f"proxy_templates: [{{template: a}}, {{template: a, {field}: b}}]")
    assert caught.value.what.startswith(f"rule 2 of the proxy templates in /t.yaml has `{field}`")


@pytest.mark.parametrize("text", ["proxy_templates: [{template: '('}]", "proxy_templates: [{}]", "other: []", "a: ["])
def test_what_is_no_such_file(text: str) -> None:
    with pytest.raises(BadParameter):
        read(text)
