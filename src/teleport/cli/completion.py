"""Completion: a script for bash, zsh or fish that knows a program's commands and their options.

The script is complete in itself: pressing TAB starts nothing. It is made from the table of commands and from the
options that each command declares, so it never differs from them.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator

import click

from teleport.base.errors import BadParameter
from teleport.cli.common import report
from teleport.cli.overview import MISUSE, summary

OWN = ("completion", "help", "version")
"""Words that every program has beside its commands."""
SHELLS = ("bash", "zsh", "fish")


def run(program: str, arguments: list[str]) -> int:
    """Print the script for a shell and return the exit status."""
    if len(arguments) != 1 or arguments[0] not in SHELLS:
        report(BadParameter("CLI-COMPLETION", program=program, given=" ".join(arguments)[:60] or "nothing"))
        return MISUSE
    write = {"bash": bash, "zsh": zsh, "fish": fish}[arguments[0]]
    print(write(program), end="")
    return 0


def commands(program: str) -> dict[str, list[str]]:
    """Return the options of each command, by its words."""
    package = importlib.import_module(f"teleport.cli.{program}")
    return {name: _options(target) for name, target in package.COMMANDS.items()}


def _options(target: str) -> list[str]:
    module, _, attribute = target.partition(":")
    command: click.Command = getattr(importlib.import_module(module), attribute)
    shown = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    return sorted({"--help", "--debug", *(word for option in shown for word in option.opts if word.startswith("--"))})


def _words(program: str) -> dict[str, list[str]]:
    """Return what may come next: after nothing the first words, after each group the words that follow it."""
    found: dict[str, set[str]] = {"": {*OWN}}
    for name in commands(program):
        words = name.split()
        for at, word in enumerate(words):
            found.setdefault(" ".join(words[:at]), set()).add(word)
    first = sorted(found[""])
    return {**{group: sorted(words) for group, words in found.items()}, "completion": list(SHELLS), "help": first}


def bash(program: str) -> str:
    """Return the script for bash (bash(1), Programmable Completion). `=` is a word of its own there."""
    package = importlib.import_module(f"teleport.cli.{program}")
    valued = "|".join(sorted(word for word, takes in package.GLOBALS.items() if takes)) or "''"
    lines = [
        f"# Completion of {program} for bash: source <({program} completion bash)",
        f"_{program}() {{",
        '    local word="${COMP_WORDS[COMP_CWORD]}" line="" choices="" i',
        "    for ((i = 1; i < COMP_CWORD; i++)); do",
        '        case "${COMP_WORDS[i]}" in',
        "            =) ((i++)) ;;",
        f'            {valued}) [[ -n "$line" || "${{COMP_WORDS[i + 1]}}" == = ]] || ((i++)) ;;',
        "            -*) ;;",
        '            *) line+="${line:+ }${COMP_WORDS[i]}" ;;',
        "        esac",
        "    done",
        '    if ((i > COMP_CWORD)) || [[ "$word" == = ]]; then',
        "        :  # the value of an option",
        '    elif [[ "$word" == -* ]]; then',
        '        case "$line" in',
        *_cases((f'"{name}"|"{name} "*', options) for name, options in sorted(commands(program).items())),
        "        esac",
        "    else",
        '        case "$line" in',
        *_cases((f'"{name}"', words) for name, words in sorted(_words(program).items())),
        "        esac",
        "    fi",
        "    COMPREPLY=()",
        '    if [[ -n "$choices" ]]; then',
        '        COMPREPLY=($(compgen -W "$choices" -- "$word"))',
        "    else",
        "        compopt -o default 2>/dev/null || :",
        "    fi",
        "}",
        f"complete -F _{program} {program}",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _cases(entries: Iterable[tuple[str, list[str]]]) -> Iterator[str]:
    for pattern, words in entries:
        yield f'            {pattern}) choices="{" ".join(words)}" ;;'


def zsh(program: str) -> str:
    """Return the script for zsh: its own reader of bash's completions takes the same function."""
    head = f"#compdef {program}\n# Completion of {program} for zsh: source <({program} completion zsh)\n"
    return f"{head}autoload -U +X bashcompinit && bashcompinit\n{bash(program).partition(chr(10))[2]}"


def fish(program: str) -> str:
    """Return the script for fish (`complete`)."""
    package = importlib.import_module(f"teleport.cli.{program}")
    lines = [f"# Completion of {program} for fish: {program} completion fish | source", f"complete -c {program} -f"]
    words = _words(program)
    for word in words[""]:
        text = summary(package.COMMANDS[word]) if word in package.COMMANDS else ""
        described = f" -d {_quoted(text)}" if text else ""
        lines.append(f"complete -c {program} -n __fish_use_subcommand -a {word}{described}")
    for group, seconds in sorted(words.items()):
        if group:
            condition = _quoted("; and ".join(f"__fish_seen_subcommand_from {word}" for word in group.split()))
            lines.append(f"complete -c {program} -n {condition} -a {_quoted(' '.join(seconds))}")
    for name, options in sorted(commands(program).items()):
        condition = _quoted("; and ".join(f"__fish_seen_subcommand_from {word}" for word in name.split()))
        lines += [f"complete -c {program} -n {condition} -l {option.removeprefix('--')}" for option in options]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
