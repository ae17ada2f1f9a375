"""Tests that need uid 0, and a machine of their own to be root on."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest


def need_root() -> None:
    """Skip a test that needs root; under CI, where root is promised, fail it."""
    if os.geteuid() != 0:
        if os.environ.get("CI"):
            pytest.fail("CI runs as root, so that these tests run")
        pytest.skip("needs root")


def private_etc(folder: Path, **files: str) -> list[str]:
    """Return a command that runs what follows it where `/etc/<name>` is the given text.

    The files are bound over in a mount namespace that ends with the command: the machine's own stay as
    they are. `nologin`, which few machines have, is `/run/nologin` there.
    """
    need_root()
    lines = ["set -e", "mount --make-rprivate /"]
    for name, text in files.items():
        source = folder / f"etc-{name.replace('/', '-')}"
        source.write_text(text)
        if name == "nologin":
            lines += ["mount -t tmpfs none /run", f"cp {source} /run/nologin"]
        else:
            lines.append(f"mount --bind {source} /etc/{name}")
    script = folder / "enter"
    script.write_text("\n".join([*lines, 'exec "$@"', ""]))
    command = ["unshare", "--mount", "sh", str(script)]
    subprocess.run([*command, "true"], check=True, capture_output=True)
    return command


def private_accounts(folder: Path) -> list[str]:
    """Return a command that runs what follows it on a machine with accounts of its own: /etc is a copy, homes, mail
    and logs are empty, and new users get numbers that nothing else on this machine has, nor another test."""
    need_root()
    etc = folder / "etc-copy"
    subprocess.run(["cp", "-a", "/etc", str(etc)], check=True, capture_output=True)
    first = 200_000 + os.getpid() % 50_000 * 20
    definitions = etc / "login.defs"
    ranges = "".join(f"{what}_MIN {first}\n{what}_MAX {first + 19}\n" for what in ("UID", "GID"))
    kept = [line for line in definitions.read_text().splitlines() if not line.startswith(("UID_", "GID_"))]
    definitions.write_text("\n".join([*kept, ranges]))
    script = folder / "enter-accounts"
    lines = ["set -e", "mount --make-rprivate /", f"mount --bind {etc} /etc"]
    lines += [f"mount -t tmpfs none {place}" for place in ("/home", "/var/mail", "/var/log")]
    script.write_text("\n".join([*lines, 'exec "$@"', ""]))
    return ["unshare", "--mount", "sh", str(script)]
