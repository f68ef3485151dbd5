#!/usr/bin/env bash
# Disk use after churn: fills a shard's state with mail, replaces all of it several
# times, lets the undelete window pass and garbage be collected, and prints what is
# live, what is on disk, and the ratio. It fails above 1.3.
#
#   bench/fault/churn.sh            64 MiB, replaced 5 times
#   bench/fault/churn.sh 256 10     256 MiB, 10 times
set -euo pipefail
cd "$(dirname "$0")/../.."
exec go test -count=1 -timeout 60m -v -run '^TestDiskUseAfterChurn$' ./node -churn-live "${1:-64}" -churn-times "${2:-5}"
