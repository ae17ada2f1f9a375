"""Fault points in `make test`: 100 of them, chosen anew each time, and proof that the kill tests can fail."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from teleport.base.disk import SystemDisk
from tests.faults import library
from tests.faults.compiler import NEEDS_COMPILER
from tests.faults.mutants import MUTANTS
from tests.faults.subjects import SUBJECTS

pytestmark = NEEDS_COMPILER
POINTS = 100
ROOT = Path(__file__).parents[2]


def faults(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "tests.faults", *words], capture_output=True, text=True, cwd=ROOT)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_nothing_that_was_acknowledged_is_lost(subject: str) -> None:
    share = -(-POINTS // len(SUBJECTS))
    done = faults("soak", "--subject", subject, "--points", str(share))
    assert done.returncode == 0, done.stdout + done.stderr
    told = re.search(r"faults: (\d+) points, (\d+) struck, (\d+) acknowledged, 0 failed", done.stdout)
    assert told, done.stdout
    assert int(told[1]) == share
    assert int(told[2]) >= share // 2  # a fault that never strikes proves nothing
    assert int(told[3]) > 0


@pytest.mark.parametrize("of", sorted({mutant.of for mutant in MUTANTS.values()}))
def test_every_spoiled_program_is_caught(of: str) -> None:
    names = [f"--mutant={name}" for name, mutant in MUTANTS.items() if mutant.of == of]
    done = faults("mutants", *names)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_failure_is_repeated_by_its_numbers() -> None:
    caught = faults("mutants", "--mutant=files-unsynced").stdout.removeprefix("caught: ").split()
    first, second = faults("run", *caught), faults("run", *caught)
    assert first.returncode == second.returncode == 1
    assert first.stdout == second.stdout
    assert "lost: " in first.stdout or "half: " in first.stdout


def test_the_calls_of_a_write_are_seen(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.faults import library\n"
        "from teleport.base.disk import SystemDisk\n"
        "root = Path(sys.argv[1]); library.arm(root, 0, 0, 'nothing', 0, False, 1, -1)\n"
        "SystemDisk().write(str(root / 'one'), b'1', exclusive=True)\n"
        "SystemDisk().write(str(root / 'one'), b'2')\n"
        "print(library.counted())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env=library.environment(library.compiled()), capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    seen = {"write": 2, "sync": 4, "truncate": 0, "rename": 1, "unlink": 1, "create": 2, "link": 1}
    assert done.stdout.strip() == str(seen), done.stderr
    assert SystemDisk().read(str(tmp_path / "one")) == b"2"


def test_a_disk_is_full_for_a_program_as_long_as_the_switch_says(tmp_path: Path) -> None:
    switch = library.DiskSwitch(tmp_path, tmp_path.with_suffix(".switch"))
    program = (
        "import sys\n"
        "for line in sys.stdin:\n"
        "    try:\n"
        "        open(sys.argv[1], 'wb', buffering=0).write(b'x')\n"
        "        print('written', flush=True)\n"
        "    except OSError as error:\n"
        "        print(error.strerror, flush=True)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "file")],
        env={**os.environ, **switch.environment}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
    )  # fmt: skip

    def written() -> str:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write("\n")
        return child.stdout.readline().strip()

    told = [written()]
    switch.fail(28, "write", "create")
    told.append(written())
    switch.heal()
    told.append(written())
    child.communicate()
    assert told == ["written", "No space left on device", "written"]
