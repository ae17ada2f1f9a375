"""`version` of every program: one line that says which build it is; `tsh` adds the proxy of the sign-in.

Read without click: it starts at once, and it works where nothing else does.
"""

from __future__ import annotations

import platform

from teleport.version import GIT_REF, VERSION

_WORDS = ("--client", "-d", "--debug")
_FORMATS = ("text", "json", "yaml")


def run(program: str, arguments: list[str]) -> int:
    """Print the version and return the exit status."""
    if arguments == ["--raw"] and program == "teleport":
        print(VERSION)
        return 0
    output_format, rest = _read(arguments)
    wrong = next((word for word in rest if word not in _WORDS), None)
    if output_format not in _FORMATS or wrong is not None:
        from teleport.cli import overview

        return overview.misused(program, "version", output_format if wrong is None else wrong)
    proxy = _proxy() if program == "tsh" and "--client" not in rest else {}
    if output_format == "text":
        print(f"Teleport v{VERSION} git:{GIT_REF} python{platform.python_version()}")
        for name, title in (("proxy_version", "Proxy version"), ("proxy", "Proxy")):
            if proxy.get(name):
                print(f"{title}: {proxy[name]}")
    else:
        _show({"version": VERSION, "gitref": GIT_REF, "runtime": f"python{platform.python_version()}", **proxy},
              output_format)  # fmt: skip
    return 0


def _read(arguments: list[str]) -> tuple[str, list[str]]:
    """Return the format that is asked for, and the other words."""
    found, rest, words = "text", [], list(arguments)
    while words:
        name, equals, value = words.pop(0).partition("=")
        if name in ("-f", "--format") and (equals or words):
            found = value if equals else words.pop(0)
        else:
            rest.append(name + equals + value)
    return found, rest


def _proxy() -> dict[str, str]:
    from teleport.cli.tsh.quick import signed_in_proxy

    return signed_in_proxy()


def _show(document: dict[str, str], output_format: str) -> None:
    from teleport.cli.common import show

    show(document, output_format)
