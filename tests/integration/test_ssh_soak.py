"""A hundredth of the soak of sessions (`python -m tests.ssh.soak`): every one gives what it should."""

from __future__ import annotations

import random
from pathlib import Path

from tests.ssh import soak


def test_sessions_at_a_steady_rate_all_succeed(tmp_path: Path) -> None:
    tally = soak.run(tmp_path, minutes=0.3, rate=10.0, seed=random.randrange(1 << 32))
    assert tally.failures == [], f"seed {tally.seed}"
    assert sum(map(len, tally.took.values())) == 180
