"""A thousand random mutations of an audit log: each is found, and at its place. `make soak` does 100,000."""

from __future__ import annotations

import os
import random

import pytest

from tests.audit import mutations

SEED = int(os.environ.get("TELEPORT_TEST_SEED", "0")) or random.SystemRandom().randrange(1 << 32)


@pytest.mark.timeout(600)
def test_every_mutation_is_found_and_located() -> None:
    print(f"mutations: seed {SEED}")  # noqa: T201 - to replay a failure
    tally = mutations.run(1000, SEED, elsewhere=50)
    assert tally.misses == []
    assert tally.elsewhere == 20
    assert {mutate.__name__ for mutate in mutations.MUTATIONS} == set(tally.done)
