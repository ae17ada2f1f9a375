"""Checks that each file of access/, pki/ and wire/ is covered completely by its own test file alone.

A line that only some distant test happens to touch is not tested: whoever changes the file would not know
which test speaks for it. Runs one measured pytest per file, in parallel, and prints what is missing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("access", "pki", "wire")
WORKERS = int(os.environ.get("WORKERS", "2"))


def main() -> int:
    """Measure every file; return 1 when one is not covered."""
    files = [
        path
        for package in PACKAGES
        for path in sorted((ROOT / "src/teleport" / package).rglob("*.py"))
        if path.name != "__init__.py"
    ]
    with ThreadPoolExecutor(WORKERS) as pool:
        problems = [problem for problem in pool.map(measure, files) if problem]
    for problem in problems:
        print(problem)
    print(f"coverage: {len(files) - len(problems)} of {len(files)} files are covered completely by their own tests")
    return 1 if problems else 0


def measure(path: Path) -> str:
    """Return what is wrong with the tests of one file; empty when nothing is."""
    package = path.relative_to(ROOT / "src/teleport").parent
    folder = ROOT / "tests/unit" / package
    tests = sorted(p for p in folder.glob(f"test_{path.stem}*.py") if p.stem in own_names(path.stem))
    name = path.relative_to(ROOT)
    if not tests:
        return f"{name}: no test file tests/unit/{package}/test_{path.stem}.py"
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch, "report.json")
        environment = {**os.environ, "COVERAGE_FILE": str(Path(scratch, "data"))}
        command = [
            sys.executable, "-m", "pytest", "-q", "-x", "-p", "randomly", "-p", "no:cacheprovider",
            f"--cov={'.'.join(('teleport', *package.parts, path.stem))}", "--cov-branch", f"--cov-report=json:{report}",
            *(str(test) for test in tests),
        ]  # fmt: skip
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        if done.returncode:
            return f"{name}: its tests fail\n{done.stdout[-2000:]}"
        found = json.loads(report.read_text())["files"]
    facts = next((facts for file, facts in found.items() if file.endswith(str(name))), None)
    if facts is None:
        return f"{name}: its tests do not import it"
    if facts["missing_lines"] or facts["missing_branches"]:
        return f"{name}: not covered: lines {facts['missing_lines']}, branches {facts['missing_branches']}"
    return ""


def own_names(stem: str) -> set[str]:
    """Return the names of test files that speak for a file."""
    return {f"test_{stem}", f"test_{stem}_laws"}


if __name__ == "__main__":
    sys.exit(main())
