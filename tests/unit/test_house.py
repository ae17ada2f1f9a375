"""The rules of the house, kept by tests: floors, sizes, names, docstrings, the catalogue of errors, the map.

What a rule is for stands in CONTRIBUTING.md and docs/adr; here it only says no.
"""

from __future__ import annotations

import ast
import functools
import importlib
import re
import statistics
import string
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from teleport.base import catalogue, errors

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "teleport"
PAGES = SOURCE / "base" / "catalogue"
GENERATED = SOURCE / "api" / "pb"
MODULES = sorted(path for path in SOURCE.rglob("*.py") if GENERATED not in path.parents)
CODE = re.compile(r"[A-Z][A-Z0-9]+(-[A-Z0-9]+)+")
RAISERS = {cls.__name__ for cls in errors.CLASSES} | {"cls"}

NOT_RAISED_BY_NAME = {"API-REMOTE", "API-INTERNAL"}
"""Pages for what another program sends or for codes that are chosen at run time."""

SAYS_IT_ALL = {"CLI-UNKNOWN-COMMAND", "STORE-NOT-FOUND"}
"""Pages that may lack why or fix: the first line leaves nothing to explain, or only programs see it."""

SUITES = {"model/test_golden.py", "model/kinds/test_spec_fields.py"}
"""Tests over a whole registry, which no single module stands for."""


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def settings() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def layers() -> list[list[str]]:
    """The floors from the top down, as import-linter has them."""
    contract = settings()["tool"]["importlinter"]["contracts"][0]
    return [[name.strip() for name in re.split(r"[|:]", layer)] for layer in contract["layers"]]


# Floors and sizes


def test_modules_import_only_from_floors_below():
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_files_have_at_most_500_lines():
    long = {named(p): n for p in MODULES if (n := len(p.read_text(encoding="utf-8").splitlines())) > 500}
    assert not long


def test_functions_are_short():
    lengths = sorted(
        node.end_lineno - node.lineno + 1
        for path in MODULES
        for node in ast.walk(tree(path))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno
    )
    assert statistics.median(lengths) <= 15
    assert lengths[int(len(lengths) * 0.9)] <= 40


# Words


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_module_says_what_it_is_for(path):
    assert ast.get_docstring(tree(path)), f"{named(path)} has no docstring"


def test_no_module_is_called_after_nothing_in_particular():
    vague = {"utils", "util", "helpers", "helper", "manager", "misc", "common"}
    assert {named(p) for p in MODULES if p.stem in vague} == {"src/teleport/cli/common.py"}


def test_nothing_is_left_for_later():
    words = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
    assert not [named(p) for p in MODULES if words.search(p.read_text(encoding="utf-8"))]


def test_every_test_file_mirrors_a_module():
    folder, lost = ROOT / "tests" / "unit", []
    for path in folder.rglob("test_*.py"):
        place = path.relative_to(folder)
        stem = path.stem.removeprefix("test_")
        meant = {stem, stem.removesuffix("_laws"), stem.removesuffix("_compliance")}
        found = any((SOURCE / place.parent / n).exists() for m in meant for n in (m, f"{m}.py"))
        if not found and path != Path(__file__) and str(place) not in SUITES:
            lost.append(named(path))
    assert not lost


# The catalogue of errors


def fields(page: catalogue.Page) -> set[str]:
    """The names that a page's templates use."""
    found = set()
    for template in (page.what, page.why, page.fix):
        found |= {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
    return found


def raised() -> Iterator[tuple[str, ast.Call, str]]:
    """Every construction of an error with a literal code: where, the call, the code."""
    for path in MODULES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if name in RAISERS and isinstance(node.args[0].value, str):
                    yield f"{named(path)}:{node.lineno}", node, node.args[0].value


@pytest.mark.parametrize("code", catalogue.codes())
def test_page_is_whole(code):
    page = catalogue.find(code)
    assert CODE.fullmatch(code), "a code is AREA-WORDS"
    assert all(name.isidentifier() for name in fields(page)), "only named fields"
    filled = dict.fromkeys(fields(page), "x")
    assert page.what.format_map(filled)
    assert "\n" not in page.what + page.why + page.fix
    whole = bool(page.fix.format_map(filled)) and bool(page.why.format_map(filled))
    assert whole or code in SAYS_IT_ALL


def test_every_raised_code_has_a_page_and_gets_its_fields():
    wrong = []
    for where, call, code in raised():
        try:
            wanted = fields(catalogue.find(code))
        except catalogue.UnknownCode:
            wrong.append(f"{where}: {code} is not in the catalogue")
            continue
        given = {keyword.arg for keyword in call.keywords}
        if None not in given and (missing := wanted - given):
            wrong.append(f"{where}: {code} is raised without {', '.join(sorted(missing))}")
    assert not wrong, "\n".join(wrong)


def test_no_page_is_unused():
    used = {
        node.value
        for path in MODULES
        if PAGES not in path.parents
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value)
    }
    assert set(catalogue.codes()) - used <= NOT_RAISED_BY_NAME


# Commands


def commands() -> list[tuple[str, str, str]]:
    packages = [importlib.import_module(f"teleport.cli.{p}") for p in ("teleport", "tctl", "tsh", "tbot")]
    return [(p.__name__.rpartition(".")[2], name, target) for p in packages for name, target in p.COMMANDS.items()]


@pytest.mark.parametrize(("program", "name", "target"), commands(), ids=lambda value: value.replace(" ", "-"))
def test_command_is_there_and_has_a_summary(program, name, target):
    module, _, attribute = target.partition(":")
    command = getattr(importlib.import_module(module), attribute)
    assert isinstance(command, click.Command)
    assert command.help


# The map


def picture() -> list[list[str]]:
    """The floors that ARCHITECTURE.md draws, from the top down."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^ *(\d+)  ([a-z]+(?: \| [a-z]+)*)(?:  .*)?$", text)
    numbers = [int(number) for number, _ in rows]
    assert numbers == list(range(len(rows) - 1, -1, -1))
    return [names.split(" | ") for _, names in rows]


def test_picture_of_the_floors_equals_the_contract():
    assert picture() == layers()


def test_picture_of_the_floors_equals_the_folders():
    folders = {path.name for path in SOURCE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert {name for floor in picture() for name in floor} == folders


@pytest.mark.parametrize("name", ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md"])
def test_paths_named_in_the_documents_exist(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    paths = set(re.findall(r"`((?:src|tests|docs|scripts|bench|proto|changes)/[\w./-]*)`", text))
    here = ("src/", "tests/", "docs/", "scripts/", "bench/")
    inside = re.findall(r"`((?:[a-z]+/)+(?:[a-z_]+\.py)?)`", text)
    paths |= {f"src/teleport/{path}" for path in inside if not path.startswith((*here, "proto/", "changes/"))}
    assert not sorted(path for path in paths if not (ROOT / path).exists())
