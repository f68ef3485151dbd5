#!/usr/bin/env bash
# Flips bits in the files of one node of three, one after the other, and has the node
# find and mend each: prints what was found, and how often the node was built anew.
#
#   bench/fault/bitflip.sh          100 bits
#   bench/fault/bitflip.sh 2000
set -euo pipefail
cd "$(dirname "$0")/../.."
exec go test -count=1 -timeout 120m -v -run '^TestFlippedBitsAreMended$' ./node -flips "${1:-100}"
