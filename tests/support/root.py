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
        source = folder / f"etc-{name}"
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
