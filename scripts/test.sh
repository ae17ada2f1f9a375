#!/usr/bin/env bash
# Everything that must be green: checks, then all tests in parallel. Arguments: folder of the tools, workers.
set -uo pipefail
bin=$1 workers=$2
start=$SECONDS
export TELEPORT_TEST_SEED=${TELEPORT_TEST_SEED:-$RANDOM$RANDOM}
echo "test: seed $TELEPORT_TEST_SEED (set TELEPORT_TEST_SEED to replay)"
scripts/check.sh "$bin"; checks=$?
"$bin/pytest" -q -n "$workers" --dist worksteal -p randomly -p "no:cacheprovider" --durations=15; tests=$?
"$bin/python" scripts/coverage.py; coverage=$?
echo "test: $((SECONDS - start)) s in all; checks $checks, tests $tests, coverage $coverage"
exit $((checks || tests || coverage))
