#!/usr/bin/env bash
# Crashes of the disk in random histories, and how many were checked:
#
#   bench/fault/crash.sh          a few minutes
#   bench/fault/crash.sh 10       ten times as many
#
# The log store, the state machine, a whole replica and groups of three run on file
# systems in memory that forget what was not synced. What comes back is compared with a
# model, or with what had been acknowledged. A failure prints its seed.
set -euo pipefail
cd "$(dirname "$0")/../.."

times=${1:-1}
out=$(mktemp)
trap 'rm -f "$out"' EXIT

run() { # package, test, flags…
    local package=$1 test=$2
    shift 2
    if ! go test -count=1 -timeout 60m -v -run "^$test\$" "$package" "$@" >"$out" 2>&1; then
        tail -60 "$out"
        echo "FAILED: $test of $package" >&2
        exit 1
    fi
}
passed() { grep -oE 'passed [0-9]+ tests' "$out" | grep -oE '[0-9]+'; }

run ./node/raftlog TestCrash -rapid.checks=$((3000 * times))
logs=$(passed)
echo "log store:      $logs histories of appends, truncations, restarts and crashes"

run ./raftfsm TestEqualsModel -rapid.checks=$((300 * times))
states=$(passed)
echo "state machine:  $states histories, each with crashes and replay"

histories=$((logs + states))
crashes() { # test, seeds, who, when
    run ./node/shard "$1" -crash-seeds="$2" -parallel 6
    local line
    line=$(grep -oE '[0-9]+ histories, [0-9]+ crashes' "$out")
    printf '%-15s %s, %s\n' "$3" "$line" "$4"
    histories=$((histories + ${line%% *}))
}
crashes TestCrashAtEverySync $((30 * times)) "replica:" "one at every fsync of log, state and snapshots"
crashes TestCrashAtEverySyncOfInstall $((100 * times)) "follower:" "one at every fsync of a snapshot's installation and of its log's truncation"
crashes TestCrashesTogether $((500 * times)) "three replicas:" "of one, two or all of them at the same moment, at an fsync of one"

echo "checked: $histories histories"
