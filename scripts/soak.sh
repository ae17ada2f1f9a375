#!/usr/bin/env bash
# The full figures of the heavy stories, once per issue; keep the output in docs/soak/. Argument: folder of the tools.
set -uo pipefail
bin=$1 start=$SECONDS failed=0
echo "soak: commit $(git rev-parse --short HEAD 2>/dev/null || echo none), $(nproc) cores, $("$bin/python" -V)"
story() { local began=$SECONDS; echo "soak: $1"; "${@:2}" || { echo "soak: $1 FAILED"; failed=1; }; echo "soak: $1 took $((SECONDS - began)) s"; }
story "kill -9 during 200 concurrent writes, 100 times" "$bin/python" tests/integration/test_kill_nine.py 100
echo "soak: $((SECONDS - start)) s in all"
exit $failed
