#!/usr/bin/env bash
# The full figures of the heavy stories, once per issue; keep the output in docs/soak/.
#
#     scripts/soak.sh .venv/bin           all of them
#     scripts/soak.sh .venv/bin ssh       those of SSH; or any other words of their names, as one regular expression
set -uo pipefail
bin=$1 only=${2:-} start=$SECONDS failed=0
echo "soak: $(date -u +%F) commit $(git rev-parse --short HEAD 2>/dev/null || echo none), $(nproc) cores, $("$bin/python" -V)"
story() {
  [[ $1 =~ $only ]] || return 0
  local began=$SECONDS
  echo "soak: $1"
  echo "soak: \$ ${*:2}"
  "${@:2}" || { echo "soak: $1 FAILED"; failed=1; }
  echo "soak: $1 took $((SECONDS - began)) s"
}
full() { story "$1" env TELEPORT_SOAK=1 "$bin/pytest" -q --timeout=7200 -p no:randomly -p no:cacheprovider "${@:2}"; }
story "kill -9 during 200 concurrent writes, 100 times" "$bin/python" tests/integration/test_kill_nine.py 100
full "kill -9 during backup and during restore, 100 times each" -s -k killed tests/unit/process/test_restore.py
story "10,000 fault points: kill, power cut, torn and short writes, disk full, I/O errors" \
  "$bin/python" -m tests.faults soak --points 10000
story "recorded shells while disks fail and programs are killed" \
  "$bin/pytest" -q -s -p no:randomly -p no:cacheprovider tests/faults/test_recording_story.py
story "every parser fuzzed for 20 s" "$bin/python" -m tests.fuzz.fuzz --seconds 20
full "10,000 half-open peers, slow readers, floods, guesses" tests/integration/test_bad_peers.py
story "100,000 random mutations of an audit log" "$bin/python" -m tests.audit.mutations 100000
story "500 texts planted on the screens of 200 recordings, ten times" bash -c \
  'for seed in 1 2 3 4 5 6 7 8 9 10; do "$0" -m tests.recordings.planted 200 500 --seed $seed || exit 1; done' "$bin/python"
story "ssh: 30 minutes of new sessions, 10 a second, on random nodes" \
  "$bin/python" -m tests.ssh.soak --minutes 30 --rate 10
full "ssh: 10 GB both ways in one session, with changes of keys" -s tests/integration/test_ssh_bulk.py
full "ssh: 2,000 malformed conversations in each phase, and what else no honest client sends" -s \
  tests/integration/test_ssh_bad_input.py
story "agents: every fault of the network, with the time until they are back" "$bin/python" -m tests.network.faults
full "doctor: 50 runs without a fault, and each fault once" tests/integration/test_doctor_net.py
story "bots: 100,000 schedules of deaths, full disks, lost and late requests, copies" \
  "$bin/python" -m tests.simulation.bot_schedules 100000
story "bots: 1,000 schedules with real certificates" "$bin/python" -m tests.simulation.bot_schedules 1000 --whole
story "bots: 1,000 of them renew for 30 days" "$bin/python" -m tests.simulation.bot_fleet --bots 1000 --days 30
full "bots: kill -9 of tbot at 1,000 random moments" -s tests/integration/test_bot_killed.py
full "bots: doctor, 100 runs without a fault, and each state once" tests/integration/test_doctor_bot.py
echo "soak: $((SECONDS - start)) s in all"
exit $failed
