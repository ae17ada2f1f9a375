"""Programs that others wrote and tests use as peers; `scripts/setup.sh` installs them."""

from __future__ import annotations

import os
import shutil

import pytest


def need(name: str) -> str:
    """Return the path of a program. Where there is none the test is skipped; under CI, which promises it, it fails."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"CI has {name}, so that these tests run")
        pytest.skip(f"needs {name}, which `make setup` installs")
    return found
