"""Who holds a lock, as the kernel's table says it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from teleport.bot.doctor.machine import Machine


def test_the_holder_of_a_lock_is_found_without_touching_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with open(path, "w") as file:
        assert Machine().holder(str(path)) is None
        fcntl.flock(file, fcntl.LOCK_EX)
        holder = Machine().holder(str(path))
        assert holder is not None
        assert holder.pid == os.getpid()
        assert "pytest" in " ".join(holder.command) or "python" in " ".join(holder.command)
    assert Machine().holder(str(path)) is None


def test_a_machine_without_a_table_has_no_locks(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "nothing")
    assert machine.holder(str(tmp_path)) is None
    assert machine.process(1).command == ()
    assert machine.mounts() == ""
