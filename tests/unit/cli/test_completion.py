"""Completion: the scripts know every command and option, and bash, where it is installed, completes with them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from teleport.cli import completion
from tests.support.admin_host import run

PROGRAMS = ("teleport", "tctl", "tsh", "tbot")


def complete(shell: str, program: str, line: str) -> list[str]:
    """Return what bash offers at the end of a command line."""
    words = [*line.replace("=", " = ").split(), *([""] if line.endswith((" ", "=")) else [])]
    script = run(program, "completion", "bash").out
    asked = f"COMP_WORDS=({' '.join(repr(word) for word in words)}); COMP_CWORD={len(words) - 1}"
    code = f'{script}\n{asked}\n_{program}\nprintf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run([shell, "-euc", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None and not os.environ.get("CI"), reason="there is no bash here")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("tsh l", ["login", "logout", "ls"]),
        ("tsh proxy ", ["ssh"]),
        ("tctl recordings ", ["download", "encryption", "ls"]),
        ("tctl recordings encryption ro", ["rotate"]),
        ("tsh --proxy=x:3080 res", ["resolve"]),
        ("tsh --proxy x:3080 res", ["resolve"]),
        ("tsh -i file ls --se", ["--search"]),
        ("tsh ls env=dev --f", ["--format"]),
        ("tsh --identity=", []),
        ("tsh -i ", []),
        ("tsh ls x", []),
        ("tsh completion ", ["bash", "zsh", "fish"]),
        ("tctl users a", ["add"]),
        ("tctl -c /etc/teleport.yaml auth ", ["export", "sign"]),
        ("tctl rm --", ["--auth-server", "--config", "--debug", "--help", "--identity"]),
        ("tctl auth sign --ov", ["--overwrite"]),
        ("tctl help to", ["tokens"]),
        ("teleport debug get", ["get-log-level"]),
        ("tbot ver", ["version"]),
        ("tctl nothing --", []),
    ],
)
def test_bash_offers(line: str, offered: list[str]) -> None:
    assert complete("bash", line.split()[0], line) == offered


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("shell", completion.SHELLS)
def test_scripts_know_everything_and_are_read_by_their_shell(program: str, shell: str) -> None:
    done = run(program, "completion", shell)
    assert (done.status, done.err) == (0, "")
    for name, options in completion.commands(program).items():
        assert all(word in done.out for word in name.split())
        assert all(option.lstrip("-") in done.out for option in options)
    if shutil.which(shell):
        subprocess.run([shell, "-n", "-c", done.out], capture_output=True, check=True, timeout=60)


def test_hidden_options_are_not_offered() -> None:
    found = completion.commands("tsh")
    assert "--insecure" in found["login"]
    assert "--insecure" not in found["ls"]


@pytest.mark.parametrize("words", [(), ("powershell",), ("bash", "zsh")])
def test_other_shells_are_refused(words: tuple[str, ...]) -> None:
    done = run("tsh", "completion", *words)
    assert (done.status, done.out) == (2, "")
    assert "CLI-COMPLETION" in done.err
    assert "source <(tsh completion bash)" in done.err


def test_help_names_it() -> None:
    assert "  completion Print a script" in re.sub(" {2,}(?=P)", " ", run("tbot", "help").out)
