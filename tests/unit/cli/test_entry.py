"""Dispatch: which command runs with which arguments, what is imported, how it ends."""

import importlib.machinery
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import click
import pytest

from teleport.base import log
from teleport.base.errors import NotFound
from teleport.cli import entry
from teleport.version import VERSION

HEAVY = {"asyncssh", "aiohttp", "grpclib", "cryptography", "yaml", "click"}


@pytest.fixture
def calls(monkeypatch):
    """A program `prog` whose commands note their arguments."""
    seen: list[object] = []
    module = types.ModuleType("teleport.cli.prog.all")

    @click.command()
    @click.argument("words", nargs=-1)
    @click.option("-c", "--config", default="")
    def note(words, config):
        seen.append((words, config, log.get_level()))

    @click.command()
    def missing():
        raise NotFound("DISK-MISSING", path="/x")

    @click.command()
    def interrupted():
        raise KeyboardInterrupt

    module.note, module.missing, module.interrupted = note, missing, interrupted
    module.__spec__ = importlib.machinery.ModuleSpec("teleport.cli.prog.all", None, origin=__file__)
    package = types.ModuleType("teleport.cli.prog", "prog: for tests.")
    package.COMMANDS = {
        name: f"teleport.cli.prog.all:{target}"
        for name, target in (("users add", "note"), ("ls", "note"), ("missing", "missing"), ("gone", "nothing"),
                             ("interrupted", "interrupted"))
    }  # fmt: skip
    package.GLOBALS, package.EXAMPLES = {"-c": True}, ()
    monkeypatch.setitem(sys.modules, "teleport.cli.prog", package)
    monkeypatch.setitem(sys.modules, "teleport.cli.prog.all", module)
    monkeypatch.delenv("TELEPORT_DEBUG", raising=False)
    former = log.get_level()
    yield seen
    log.set_level(former)


def test_one_and_two_words(calls):
    assert entry.main("prog", ["users", "add", "alice"]) == 0
    assert entry.main("prog", ["ls", "add"]) == 0
    assert [call[0] for call in calls] == [("alice",), ("add",)]


def test_options_before_the_word_go_to_the_command(calls):
    assert entry.main("prog", ["-c", "file", "ls", "x"]) == 0
    assert calls == [(("x",), "file", "WARN")]


@pytest.mark.parametrize("line", [["-d", "ls"], ["--debug", "ls"], ["ls", "-d"], ["-c", "f", "-d", "ls"]])
def test_debug_is_accepted_everywhere(calls, line):
    assert entry.main("prog", line) == 0
    assert calls[0][2] == "DEBUG"


def test_debug_by_environment(calls, monkeypatch):
    monkeypatch.setenv("TELEPORT_DEBUG", "1")
    entry.main("prog", ["ls"])
    assert calls[0][2] == "DEBUG"


def test_error_is_reported_with_status_1(calls, capsys):
    assert entry.main("prog", ["missing"]) == 1
    assert "DISK-MISSING" in capsys.readouterr().err


def test_command_that_cannot_be_imported_is_reported(calls, capsys):
    assert entry.main("prog", ["gone"]) == 1
    assert "CLI-INTERNAL" in capsys.readouterr().err


def test_interrupt_is_quiet(calls, capsys):
    assert entry.main("prog", ["interrupted"]) == 130
    assert capsys.readouterr() == ("", "")


def test_help_of_a_command_and_of_the_program(calls, capsys):
    assert entry.main("prog", ["help", "users", "add"]) == 0
    assert "Usage: prog users add" in capsys.readouterr().out
    for line in ([], ["help"], ["--help"], ["-h"], ["help", "help"]):
        assert entry.main("prog", line) == 0
        assert "Commands:" in capsys.readouterr().out


def test_help_of_a_code(capsys):
    assert entry.main("tsh", ["help", "CFG-DURATION"]) == 0
    assert capsys.readouterr().out.startswith("CFG-DURATION: ")


def test_unknown_command_has_status_2(calls):
    assert entry.main("prog", ["lss"]) == 2
    assert entry.main("prog", ["-c", "x"]) == 2


@pytest.mark.parametrize("program", ["teleport", "tctl", "tsh", "tbot"])
def test_version_has_the_documented_shape(program, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [program, "version"])
    with pytest.raises(SystemExit) as ended:
        getattr(entry, program)()
    assert not ended.value.code
    assert re.fullmatch(r"Teleport v\d+\.\d+\.\d+ git:\S* python3\.\d+\.\d+\n", capsys.readouterr().out)


def test_raw_version_is_of_the_server_alone(capsys):
    assert entry.main("teleport", ["version", "--raw"]) == 0
    assert capsys.readouterr().out == f"{VERSION}\n"
    assert entry.main("tsh", ["version", "--raw"]) == 2


def test_version_imports_nothing_heavy():
    code = "import sys; sys.argv = ['tsh', 'version']; from teleport.cli.entry import tsh; tsh()"
    done = subprocess.run([sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "teleport" in imported
    assert not imported & HEAVY


def test_reader_that_leaves_is_no_error():
    code = "import sys; sys.argv = ['tsh', 'help']; from teleport.cli.entry import tsh; sys.stdin.read(); tsh()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, stderr=-1)
    assert process.stdout
    process.stdout.close()
    _, err = process.communicate(b"")
    assert (process.returncode, err) == (141, b"")


def test_tsh_starts_by_a_link_and_does_not_mind_variables_of_python(tmp_path):
    (tmp_path / "tsh").symlink_to(Path(sys.executable).with_name("tsh"))
    environment = {**os.environ, "PYTHONHOME": "/nonexistent", "PYTHONPATH": "/nonexistent"}
    for command in ([str(tmp_path / "tsh")], ["./tsh"], ["sh", "tsh"]):
        done = subprocess.run([*command, "version"], capture_output=True, text=True, env=environment, cwd=tmp_path)
        assert (done.returncode, done.stdout.splitlines()[0].split()[:2]) == (0, ["Teleport", f"v{VERSION}"]), command


def test_what_the_start_of_tsh_leaves_out_is_done_for_full_commands(tmp_path):
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}; before = sys.prefix\n"
        "from teleport.cli import entry; entry.main('tsh', ['env', '--help']); print(before, sys.prefix)"
    )
    environment = {"TELEPORT_HOME": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-ISc", code], capture_output=True, text=True, env=environment, check=True)
    before, after = done.stdout.splitlines()[-1].split()
    assert (before, after) == (sys.base_prefix, sys.prefix)
