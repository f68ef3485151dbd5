#!/usr/bin/env bash
# The kill test: three storage nodes and two frontends as processes, clients at work,
# leaders killed. See package bench/fault.
#
#   bench/fault/run.sh                20 kills of the leader, 3 of all nodes
#   bench/fault/run.sh -kills 100     see -help for more
set -euo pipefail
cd "$(dirname "$0")/../.."
exec go run ./bench/fault/killtest "$@"
