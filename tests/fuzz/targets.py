"""Every parser of bytes or text from outside, fed with what a hostile peer would send."""

from __future__ import annotations

from tests.fuzz import targets_access, targets_model, targets_pki, targets_text, targets_wire
from tests.fuzz.engine import seed

__all__ = ["seed", "targets_access", "targets_model", "targets_pki", "targets_text", "targets_wire"]
