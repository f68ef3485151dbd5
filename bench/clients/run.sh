#!/usr/bin/env bash
# Real mail clients against "quorumail dev": curl, swaks, neomutt and mutt with
# QRESYNC (mutt through COMPRESS), aerc, mbsync; Python's imaplib, fetchmail, imapfilter
# and offlineimap; Thunderbird with CONDSTORE. Installs them from Debian where they are missing, works in a
# directory of its own, ends only what it started.
#
#   bench/clients/run.sh
#   KEEP=1 bench/clients/run.sh     keeps the directory, with all logs
#   QUORUMAIL_BIN=… bench/clients/run.sh     takes a binary that is built already
#   NEOMUTT_BIN=… bench/clients/run.sh       takes another neomutt than Debian's
set -euo pipefail
cd "$(dirname "$0")/../.."

messages=5000
work=$(mktemp -d)
server= # process id of quorumail
thunderbird= # process id of Thunderbird
tmux_socket=$work/tmux
neomutt=neomutt # or a path that holds in every directory
[ -z "${NEOMUTT_BIN:-}" ] || neomutt=$(realpath -e "$NEOMUTT_BIN")

say() { printf '\n== %s\n' "$*"; }

fail() {
    local log
    for log in "$work"/*.log "$work"/*.log0; do
        printf '%s\n' "--- end of ${log##*/}" >&2
        tail -n 25 "$log" >&2 || true
    done
    printf '\nFAILED: %s\n' "$*" >&2
    exit 1
}

cleanup() {
    local status=$?
    tmux -S "$tmux_socket" kill-server 2>/dev/null || true
    if [ -n "$thunderbird" ] && kill -0 "$thunderbird" 2>/dev/null; then
        kill "$thunderbird"
        wait "$thunderbird" 2>/dev/null || true
    fi
    if [ -n "$server" ] && kill -0 "$server" 2>/dev/null; then
        kill "$server"
        wait "$server" 2>/dev/null || true
    fi
    if [ -n "${KEEP:-}" ]; then
        echo "kept: $work"
    else
        rm -rf "$work"
    fi
    exit "$status"
}
trap cleanup EXIT

# equal WHAT WANT GOT fails unless both are the same.
equal() {
    [ "$2" = "$3" ] || fail "$1: want '$2', got '$3'"
    printf 'ok  %s: %s\n' "$1" "$3"
}

# contains WHAT PATTERN FILE fails unless a line of the file matches.
contains() {
    grep -Eq -- "$2" "$3" || fail "$1: no line matches '$2' in ${3##*/}:
$(tail -n 40 "$3")"
    printf 'ok  %s: %s\n' "$1" "$(grep -E -m 1 -- "$2" "$3" | tr -d '\r' | cut -c 1-100)"
}

# lacks WHAT PATTERN FILE fails if a line of the file matches.
lacks() {
    if grep -Eq -- "$2" "$3"; then
        fail "$1: a line matches '$2' in ${3##*/}: $(grep -E -m 1 -- "$2" "$3")"
    fi
    printf 'ok  %s\n' "$1"
}

# wait_for WHAT COMMAND… tries for 30 seconds until the command succeeds.
wait_for() {
    local what=$1 end=$((SECONDS + 30))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || fail "$what: not within 30 s"
        sleep 0.1
    done
}

install_clients() {
    local missing=() tool
    for tool in curl:curl swaks:swaks "$neomutt:neomutt" mutt:mutt aerc:aerc mbsync:isync tmux:tmux python3:python3 \
        fetchmail:fetchmail imapfilter:imapfilter offlineimap:offlineimap3 thunderbird:thunderbird; do
        command -v "${tool%%:*}" >/dev/null || missing+=("${tool##*:}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing ${missing[*]}"
    local sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

start_server() {
    local bin=${QUORUMAIL_BIN:-}
    if [ -z "$bin" ]; then
        say "building quorumail"
        bin=$work/quorumail
        go build -o "$bin" ./cmd/quorumail
    fi
    say "starting quorumail dev"
    "$bin" dev --data "$work/data" --imap 127.0.0.1:0 --lmtp 127.0.0.1:0 \
        --user alice@example.org:secret --user bob@example.org:secret --user carol@example.org:secret \
        --user dora@example.org:secret --user erik@example.org:secret --user fay@example.org:secret \
        --user gina@example.org:secret --user hugo@example.org:secret \
        --user ida@example.org:secret --user jane@example.org:secret \
        >"$work/server.out" 2>"$work/server.log" &
    server=$!
    local end=$((SECONDS + 60))
    until grep -qx ready "$work/server.out"; do
        kill -0 "$server" 2>/dev/null || fail "quorumail dev has ended"
        [ $SECONDS -lt $end ] || fail "quorumail dev is not ready after 60 s"
        sleep 0.1
    done
    imap=$(awk '$1 == "IMAP" {print $2}' "$work/server.out")
    lmtp=$(awk '$1 == "LMTP" {print $2}' "$work/server.out")
    echo "IMAP $imap, LMTP $lmtp"
}

# mail PATH [OPTIONS…] is curl as alice, or as $user.
mail() {
    local path=$1
    shift
    curl --silent --show-error --max-time 60 --user "${user:-alice}@example.org:secret" "$@" "imap://$imap/$path" | tr -d '\r'
}

# count prints how many numbers a SEARCH answer has.
count() { awk '/^\* SEARCH/ {print NF - 2}'; }

# deliver N brings alice, or $user, a letter.
deliver() {
    swaks --protocol LMTP --server "$lmtp" --from dave@example.com --to "${user:-alice}@example.org" \
        --header "Subject: letter $1" --body "This is letter $1." >"$work/swaks.log" 2>&1 || fail "swaks: letter $1"
}

test_swaks() {
    say "swaks: delivery by LMTP"
    local n
    for n in 1 2 3; do
        deliver "$n"
    done
    contains "answer to each recipient" '^<- +250 2.0.0 <alice@example.org>' "$work/swaks.log"
    if swaks --protocol LMTP --server "$lmtp" --from dave@example.com --to nobody@example.org >"$work/swaks-unknown.log" 2>&1; then
        fail "swaks: delivery to an unknown user was accepted"
    fi
    contains "unknown user" '^<\*\* +550' "$work/swaks-unknown.log"
    equal "messages delivered" 3 "$(mail INBOX --request 'SEARCH ALL' | count)"
}

test_curl() {
    say "curl: list, fetch, append, search, flags"
    mail '' >"$work/curl-list.log"
    contains "LIST" '^\* LIST .* "/" "?INBOX"?$' "$work/curl-list.log"
    mail 'INBOX;UID=1' >"$work/curl-fetch.log"
    contains "FETCH: header" '^Subject: letter 1$' "$work/curl-fetch.log"
    contains "FETCH: body" '^This is letter 1\.$' "$work/curl-fetch.log"
    printf 'From: alice@example.org\r\nTo: bob@example.org\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\nMessage-ID: <appended@example.org>\r\n\r\nuploaded\r\n' >"$work/upload.eml"
    mail INBOX --upload-file "$work/upload.eml"
    mail 'INBOX;UID=4' >"$work/curl-appended.log"
    contains "APPEND" '^uploaded$' "$work/curl-appended.log"
    equal "SEARCH SUBJECT" "* SEARCH 2" "$(mail 'INBOX?SUBJECT%20%22letter%202%22')"
    equal "SEARCH of an encoded header" "* SEARCH 4" "$(mail INBOX --request 'SEARCH CHARSET UTF-8 SUBJECT "caf"')"
    mail INBOX --request 'STORE 3 +FLAGS (\Flagged)' >"$work/curl-store.log"
    contains "STORE" 'FETCH \(.*\\Flagged' "$work/curl-store.log"
    equal "SEARCH FLAGGED" "* SEARCH 3" "$(mail INBOX --request 'SEARCH FLAGGED')"
}

# Mail readers run in a terminal of tmux, so that they are driven by keys as by a
# person. The one under test is $reader, the account's name $user.
term() { tmux -S "$tmux_socket" "$@"; }
on_screen() { term capture-pane -p -t reader | grep -Eq -- "$1"; }
keys() { term send-keys -t reader "$@"; }
reader_ended() { ! term has-session -t reader; }

# reader_start SESSION starts the reader; its debug log is $log afterwards.
reader_start() {
    local command="-n -F '$work/$reader.rc' -d 5"
    log=$work/$reader$1.log0
    if [ "$reader" = neomutt ]; then
        command="'$neomutt' $command -l '${log%0}'"
    else
        command="$reader $command; mv .muttdebug0 '$log'"
    fi
    term -f /dev/null new-session -d -s reader -x 120 -y 30 "cd '$work' && export HOME=. && $command"
}

reader_quit() {
    keys q
    wait_for "$reader has ended" reader_ended
}

# test_reader SPOOLFILE [strict]: reads and flags, goes away, comes back to what has
# changed behind its back and resynchronises. SPOOLFILE is that setting's name.
test_reader() {
    say "$reader: read, flag, leave, come back and resynchronise with QRESYNC"
    local log n
    for n in 1 2 3 4; do
        deliver "$n"
    done
    mkdir "$work/$reader.headers"
    cat >"$work/$reader.rc" <<RC
set from = "$user@example.org"
set folder = "imap://$user%40example.org@$imap/"
set $1 = "+INBOX"
set imap_user = "$user@example.org"
set imap_pass = "secret"
set imap_condstore = yes
set imap_qresync = yes
set header_cache = "$work/$reader.headers/"
set ssl_starttls = no
set ssl_force_tls = no
set quit = yes
set wait_key = no
set sort = mailbox-order
set index_format = "%4C %Z %s"
set status_format = "messages:%m flagged:%F deleted:%d"
set mail_check = 5
set timeout = 5
${setting:-}
RC
    reader_start 1
    wait_for "$reader shows four messages" on_screen 'messages:4'
    keys 1 Enter Enter # go to the first, open it
    wait_for "$reader shows the letter" on_screen 'This is letter 1\.'
    keys q # back to the index
    wait_for "$reader shows the index" on_screen 'messages:4'
    keys 2 Enter F # flag the second
    wait_for "$reader has flagged the letter" on_screen 'flagged:1'
    keys '$' # write what was changed
    wait_for "the flag has come to the server" flags_are 'SEARCH FLAGGED' '* SEARCH 2'
    equal "flagged by $reader" "* SEARCH 2" "$(mail INBOX --request 'SEARCH FLAGGED')"
    equal "read in $reader" "* SEARCH 1" "$(mail INBOX --request 'SEARCH SEEN')"
    reader_quit
    contains "asks for UTF-8" '> a[0-9]+ ENABLE UTF8=ACCEPT' "$log"
    # A line without a time is of the write before it: both were sent at once.
    contains "QRESYNC asked for in the same write" '^a[0-9]+ ENABLE QRESYNC' "$log"

    # Behind its back a flag is set.
    mail INBOX --request 'UID STORE 3 +FLAGS (\Flagged)' >"$work/behind.log"
    reader_start 2
    wait_for "$reader shows the flag" on_screen 'messages:4 flagged:2'
    reader_quit
    contains "asks what has changed" '> a[0-9]+ UID FETCH 1:[0-9]+ \(FLAGS\) \(CHANGEDSINCE [0-9]+ VANISHED\)' "$log"
    contains "is told what has changed" '< \* 3 FETCH \(UID 3 FLAGS \([^)]*\\Flagged' "$log"
    lacks "all is in its cache" '> a[0-9]+ (UID )?FETCH .*BODY|QRESYNC failed' "$log"

    # Behind its back a message goes, and one comes.
    mail INBOX --request 'UID STORE 3 +FLAGS (\Deleted)' >"$work/behind.log"
    mail INBOX --request 'EXPUNGE' >>"$work/behind.log"
    deliver 5
    reader_start 3
    wait_for "$reader shows the new letter" on_screen 'letter 5'
    wait_for "$reader shows four messages, one flagged" on_screen 'messages:4 flagged:1'
    if on_screen 'letter 3'; then fail "$reader still shows the expunged letter"; fi
    reader_quit
    contains "is told what has vanished" '< \* VANISHED \(EARLIER\) 3' "$log"
    if [ "${2:-}" = strict ]; then
        lacks "takes what it is told" 'QRESYNC failed' "$log"
        lacks "does not ask for all flags" '> a[0-9]+ (UID )?FETCH [0-9:*]+ \((UID )?FLAGS\)[[:space:]]*$' "$log"
    fi
}

# test_condstore is the reader of test_reader without QRESYNC: it comes
# back to a flag that was set behind its back and asks for what has changed only.
test_condstore() {
    say "$reader: come back and resynchronise with CONDSTORE alone"
    local log
    printf 'set imap_qresync = no\n' >>"$work/$reader.rc"
    mail INBOX --request 'UID STORE 4 +FLAGS (\Flagged)' >"$work/behind.log"
    reader_start 4
    wait_for "$reader shows the flag" on_screen 'messages:4 flagged:2'
    reader_quit
    contains "asks what has changed" '> a[0-9]+ (UID )?FETCH 1:[0-9]+ \([A-Z ]*FLAGS[A-Z ]*\) \(CHANGEDSINCE [0-9]+\)' "$log"
    lacks "without QRESYNC" 'ENABLE QRESYNC|VANISHED' "$log"
}

flags_are() { [ "$(mail INBOX --request "$1")" = "$2" ]; }

test_neomutt() {
    # neomutt, also the newest, asks for all UIDs and flags after each VANISHED
    # (EARLIER) that it takes, whatever else it is told: bench/DESIGN.md. Not strict.
    reader=neomutt user=bob test_reader spool_file
    contains "takes what has vanished" 'Expunging message UID 3$' "$work/neomutt3.log0"
    lacks "and nothing else" 'Expunging message UID [^3]' "$work/neomutt3.log0"
    reader=neomutt user=bob test_condstore
}

test_mutt() {
    # Debian's mutt can compress, its neomutt cannot.
    reader=mutt user=carol setting='set imap_deflate = yes' test_reader spoolfile strict
    reader=mutt user=carol test_condstore
    contains "compressed" '> a[0-9]+ COMPRESS DEFLATE' "$work/mutt3.log0"
    contains "compressing" '< a[0-9]+ OK DEFLATE active' "$work/mutt3.log0"
}

# mbsync_stores USER DIRECTORY prints the beginning of an mbsyncrc: the account, far, and
# the Maildirs below a directory, near. Nobody needs them after a crash, and fsync for
# each of their files is slow.
mbsync_stores() {
    cat <<RC
FSync no
IMAPAccount quorumail
Host ${imap%:*}
Port ${imap##*:}
User $1@example.org
Pass secret
SSLType None
AuthMechs LOGIN
Timeout 60

IMAPStore far
Account quorumail

MaildirStore near
Path $work/$2/
Inbox $work/$2/INBOX
SubFolders Verbatim
RC
}

test_mbsync() {
    say "mbsync: a mailbox of $messages messages"
    go run ./bench/clients/fill --imap "$imap" --user alice@example.org --password secret --mailbox Big --count "$messages" || fail "filling the mailbox"
    equal "messages on the server" "$messages" "$(mail Big --request 'SEARCH ALL' | count)"
    { mbsync_stores alice maildir && cat; } >"$work/mbsyncrc" <<RC

Channel big
Far :far:
Near :near:
Pattern Big
Create Near
Expunge Both
Sync All
SyncState *
RC
    mkdir -p "$work/maildir"
    sync_mail
    equal "messages in the Maildir" "$messages" "$(find "$work/maildir/Big/cur" "$work/maildir/Big/new" -type f | wc -l | tr -d ' ')"

    # Ten flagged and ten deleted here, one flagged and one deleted there.
    local file n=0
    for file in $(find "$work/maildir/Big/cur" "$work/maildir/Big/new" -type f | sort | head -n 20); do
        n=$((n + 1))
        local flags=F name
        [ $n -le 10 ] || flags=T
        name=${file##*/}
        mv "$file" "$work/maildir/Big/cur/${name%%:2,*}:2,$flags"
    done
    mail Big --request "UID STORE $messages +FLAGS (\\Flagged)" >"$work/behind.log"
    mail Big --request "UID STORE $((messages - 1)) +FLAGS (\\Deleted)" >>"$work/behind.log"
    mail Big --request "UID EXPUNGE $((messages - 1))" >>"$work/behind.log"
    sync_mail
    equal "flagged on the server" 11 "$(mail Big --request 'SEARCH FLAGGED' | count)"
    equal "left on the server" $((messages - 11)) "$(mail Big --request 'SEARCH ALL' | count)"
    equal "left in the Maildir" $((messages - 11)) "$(find "$work/maildir/Big/cur" "$work/maildir/Big/new" -type f | wc -l | tr -d ' ')"
    equal "flagged in the Maildir" 11 "$(find "$work/maildir/Big/cur" -type f -name '*:2,*F*' | wc -l | tr -d ' ')"
}

sync_mail() {
    local began=$SECONDS
    mbsync --config "$work/mbsyncrc" big >"$work/mbsync.log" 2>&1 || fail "mbsync"
    echo "mbsync took $((SECONDS - began)) s"
}

test_stop() {
    say "stopping quorumail"
    kill "$server"
    local status=0
    wait "$server" || status=$?
    server=
    equal "exit status" 0 "$status"
}

# shellcheck source=bench/clients/aerc.sh
. bench/clients/aerc.sh
# shellcheck source=bench/clients/fetchers.sh
. bench/clients/fetchers.sh
# shellcheck source=bench/clients/mailboxes.sh
. bench/clients/mailboxes.sh
# shellcheck source=bench/clients/thunderbird.sh
. bench/clients/thunderbird.sh

install_clients
start_server
test_swaks
test_curl
test_neomutt
test_mutt
test_aerc
test_mbsync
test_mbsync_mailboxes
test_imaplib
test_fetchmail
test_imapfilter
test_offlineimap
test_offlineimap_mailboxes
test_thunderbird
test_stop
say "all clients passed"
