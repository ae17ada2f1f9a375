"""Bots in storms: none that has its storage to itself is ever locked, all recover, every copy that renews is found.

A thousand schedules here, a hundred thousand with `make soak`; a failure names the schedule and how to replay it.
"""

from __future__ import annotations

import os

import pytest

from tests.simulation.bot_schedules import play, play_many
from tests.simulation.bot_world import digest

SEED = int(os.environ.get("TELEPORT_TEST_SEED", "0")) or int.from_bytes(os.urandom(4), "big")
PARTS, EACH = 20, 50


@pytest.mark.parametrize("part", range(PARTS))
def test_nothing_locks_a_bot_but_a_copy(part: int) -> None:
    """S1-05, S1-07, S1-09, S1-10: lost and late answers, full disks, deaths at any moment, wrong clocks and two Auth
    Services that race lock nobody; two holders of a storage that both renew do."""
    first = digest(SEED, part) % (1 << 40)
    tally, broken = play_many(range(first, first + EACH))
    assert broken == [], "python -m tests.simulation.bot_schedules 1 --seed SEED replays one"
    assert sum(tally.values()) == EACH


@pytest.mark.parametrize("number", range(10))
def test_real_certificates_make_no_difference(number: int) -> None:
    """The same schedule ends alike with certificates that are made, signed and read."""
    seed = digest(SEED, "whole", number) % (1 << 40)
    assert play(seed, whole=True) == play(seed)
