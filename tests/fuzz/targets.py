"""Every parser of bytes or text from outside, fed with what a hostile peer would send."""

from __future__ import annotations

from tests.fuzz import (
    targets_access,
    targets_api,
    targets_client,
    targets_enhanced,
    targets_model,
    targets_mux,
    targets_net,
    targets_pki,
    targets_recordings,
    targets_resumption,
    targets_sftp,
    targets_ssh,
    targets_tbot,
    targets_text,
    targets_tsh,
    targets_way,
    targets_web,
    targets_wire,
)
from tests.fuzz.engine import plain, seed

__all__ = [
    "plain",
    "seed",
    "targets_access",
    "targets_api",
    "targets_client",
    "targets_enhanced",
    "targets_model",
    "targets_mux",
    "targets_net",
    "targets_pki",
    "targets_recordings",
    "targets_resumption",
    "targets_sftp",
    "targets_ssh",
    "targets_tbot",
    "targets_text",
    "targets_tsh",
    "targets_way",
    "targets_web",
    "targets_wire",
]
