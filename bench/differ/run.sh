#!/usr/bin/env bash
# The same commands to Debian's Dovecot and to "quorumail dev"; fails if an answer
# differs in a way that expected.txt doesn't list. See package bench/differ.
# expected.txt is exact for one version: with another Dovecot nothing is compared,
# and the script says so and succeeds.
# Installs Dovecot where it is missing, ends only what it started.
#
#   bench/differ/run.sh
#   QUORUMAIL_BIN=… bench/differ/run.sh     takes a binary that is built already
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
server=
cleanup() {
    local status=$?
    if [ -n "$server" ] && kill -0 "$server" 2>/dev/null; then
        kill "$server"
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$work"
    exit "$status"
}
trap cleanup EXIT

if ! command -v dovecot >/dev/null && [ ! -x /usr/sbin/dovecot ]; then
    sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends dovecot-imapd >/dev/null
fi

known=2.3.19.1
dovecot=$(command -v dovecot || echo /usr/sbin/dovecot)
version=$("$dovecot" --version)
if [ "${version%% *}" != "$known" ]; then
    echo "NOT COMPARED: this is Dovecot $version; bench/differ/expected.txt knows the differences to $known"
    exit 0
fi

go build -o "$work/differ" ./bench/differ
bin=${QUORUMAIL_BIN:-}
if [ -z "$bin" ]; then
    bin=$work/quorumail
    go build -o "$bin" ./cmd/quorumail
fi

users=()
for user in $("$work/differ" -users); do
    users+=(--user "$user")
done
"$bin" dev --data "$work/data" --imap 127.0.0.1:0 --lmtp 127.0.0.1:0 "${users[@]}" >"$work/server.out" 2>"$work/server.log" &
server=$!
end=$((SECONDS + 60))
until grep -qx ready "$work/server.out"; do
    if ! kill -0 "$server" 2>/dev/null || [ $SECONDS -ge $end ]; then
        tail -n 25 "$work/server.log" >&2
        echo "quorumail dev is not ready" >&2
        exit 1
    fi
    sleep 0.1
done
chmod 755 "$work" # Dovecot's own user reads its mail there
mkdir "$work/dovecot"
"$work/differ" -imap "$(awk '$1 == "IMAP" {print $2}' "$work/server.out")" -dir "$work/dovecot"
