"""What a bot that is locked is told of why, whatever it is told."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from teleport.base.errors import AccessDenied
from teleport.bot.doctor import standing
from teleport.client.doctor.report import Finding


def found(**fields: str) -> Finding:
    """Return what is found where the cluster refuses the bot with a lock."""

    def client() -> None:
        raise AccessDenied("POL-LOCKED", lock='User:"bot-example"', message=": ...", lock_name="lock-1", **fields)

    held = SimpleNamespace(identity=SimpleNamespace(bot_name="example"))
    case: Any = SimpleNamespace(held=held, bot=SimpleNamespace(client=client))
    said = asyncio.run(standing.run(case))
    assert isinstance(said, Finding)
    return said


@pytest.mark.parametrize("verdict", ["BOT-STOLEN", "BOT-GEN-MISMATCH", "BOT-LOCKED"])
def test_the_verdict_is_the_clusters(verdict: str) -> None:
    said = found(verdict=verdict, meaning="what it means")
    assert (said.code, said.state) == (verdict, "fail")
    assert "what it means" in said.evidence
    assert ("example" in said.fix, "--force" in said.fix) == (verdict != "BOT-LOCKED", verdict == "BOT-STOLEN")


@pytest.mark.parametrize("fields", [{}, {"verdict": "BOT-OF-TOMORROW", "meaning": "?"}])
def test_a_lock_without_a_verdict_is_a_lock(fields: dict[str, str]) -> None:
    assert found(**fields).code == "BOT-LOCKED"
