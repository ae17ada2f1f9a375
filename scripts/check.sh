#!/usr/bin/env bash
# Format, lint, types, floors. Argument: folder of the tools.
set -uo pipefail
bin=$1 failed=0
step() { local start=$SECONDS; "${@:2}" || { echo "check: $1 failed"; failed=1; }; echo "check: $1 $((SECONDS - start)) s"; }
step format "$bin/ruff" format --check -q src tests scripts bench
step lint "$bin/ruff" check -q src tests scripts bench
step types "$bin/mypy"
step floors "$bin/lint-imports" --no-cache
step docs "$bin/python" scripts/docs.py --check
exit $failed
