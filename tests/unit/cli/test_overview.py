"""Help, pages of codes, and what is said about unknown commands."""

import types

import pytest

from teleport.cli import overview


@pytest.fixture
def program(monkeypatch):
    package = types.ModuleType("teleport.cli.prog", "prog: for tests.")
    package.COMMANDS = {"users add": "teleport.cli.overview:page", "status": "teleport.cli.overview:overview"}
    package.EXAMPLES = ("prog status",)
    monkeypatch.setitem(__import__("sys").modules, "teleport.cli.prog", package)
    return package


def test_overview_starts_with_examples(program, capsys):
    assert overview.overview("prog") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == ["prog: for tests.", "", "Examples:", "  prog status"]
    assert "  users add    Print the page of an error code, its fields as <field>." in lines


def test_overview_without_examples(program, capsys):
    program.EXAMPLES = ()
    overview.overview("prog")
    assert "Examples" not in capsys.readouterr().out


def test_summary_of_nothing_is_empty():
    assert overview.summary("teleport.cli.overview:nothing") == ""
    assert overview.summary("teleport.cli.nowhere:x") == ""


def test_page_shows_fields_in_angle_brackets(capsys):
    assert overview.page("tsh", "cfg-duration") == 0
    assert capsys.readouterr().out.startswith("CFG-DURATION: <value> is not a duration\n  why:  ")


def test_page_ends_with_more(capsys):
    overview.page("tsh", "CFG-YAML-SYNTAX")
    assert capsys.readouterr().out.rstrip().endswith("are refused.")


def test_unknown_page_is_suggested(capsys):
    assert overview.page("tsh", "CFG-DURATOIN") == 1
    assert "did you mean 'CFG-DURATION'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("leading", "words", "said"),
    [
        ([], ["statsu"], "prog has no command 'statsu', did you mean 'status'?"),
        ([], ["users"], "'users' needs another word"),
        ([], ["users", "ad"], "prog has no command 'users ad', did you mean 'users add'?"),
        ([], ["user", "add"], "prog has no command 'user', did you mean 'users add'?"),
        ([], ["usres"], "prog has no command 'usres', did you mean 'users'?"),
        ([], ["nothing-alike"], "prog has no command 'nothing-alike'\n"),
        (["--what"], [], "cannot understand '--what'"),
    ],
)
def test_unknown_commands(program, capsys, leading, words, said):
    assert overview.unknown("prog", leading, words) == 2
    assert capsys.readouterr().err.startswith(f"ERROR: {said}")


@pytest.mark.parametrize(("word", "code"), [("POL-NO-LOGIN", True), ("pol-x", True), ("users", False), ("-x", False)])
def test_form_of_a_code(word, code):
    assert overview.is_code(word) is code


def test_command_without_click_refuses_arguments(capsys):
    assert overview.misused("tsh", "version", "--what") == 2
    assert "no such argument: --what" in capsys.readouterr().err
