"""Whether the library of faults can be compiled here."""

from __future__ import annotations

import os
import shutil

import pytest

NEEDS_COMPILER = pytest.mark.skipif(
    shutil.which("cc") is None and "CI" not in os.environ, reason="needs a C compiler (cc), which setup installs"
)
