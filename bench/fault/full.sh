#!/usr/bin/env bash
# Disks that are really full: three nodes on small file systems of their own (tmpfs),
# which are filled to the last octet: that of the leader, then all. See FullTest in
# package bench/fault.
#
#   bench/fault/full.sh
#
# Needs root, to mount, and up to 4 GiB of memory.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ "$(id -u)" != 0 ]; then
    echo "FAILED: bench/fault/full.sh mounts file systems, and needs root for that" >&2
    exit 1
fi
dir=$(mktemp -d)
trap 'for n in n1 n2 n3; do umount "$dir/$n" 2>/dev/null || true; done; rm -rf "$dir"' EXIT
for n in n1 n2 n3; do
    mkdir "$dir/$n"
    if ! mount -t tmpfs -o size=1200m,mode=700 quorumail-full "$dir/$n"; then
        echo "FAILED: no tmpfs can be mounted here" >&2
        exit 1
    fi
done
go run ./bench/fault/fulltest -dir "$dir" "$@"
