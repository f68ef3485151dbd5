#!/usr/bin/env bash
# A follower that is far behind, and comes back: how many log entries it has missed, how
# long it took to be caught up, and what memory that took. Once as a process, with the
# settings that nodes have, where the others have cut their logs; then one replica by
# itself, which gets every entry, and the same from a snapshot.
#
#   bench/fault/behind.sh             a million entries
#   bench/fault/behind.sh 100000
set -euo pipefail
cd "$(dirname "$0")/../.."
n=${1:-1000000}
go test -count=1 -timeout 60m -v -run '^TestNodeFarBehind$' ./bench/fault -behind-entries "$n"
exec go test -count=1 -timeout 60m -v -run '^TestFollowerFarBehind$' ./node/shard -behind-entries "$n"
