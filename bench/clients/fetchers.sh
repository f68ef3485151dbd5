# Programs that fetch, filter and mirror mail; run.sh reads this file.

test_imaplib() {
    say "imaplib: Python's own client"
    python3 bench/clients/imaplib_check.py "${imap%:*}" "${imap##*:}" dora@example.org secret >"$work/imaplib.log" 2>&1 ||
        fail "imaplib"
    contains "imaplib" '^imaplib: done$' "$work/imaplib.log"
    equal "copied by imaplib" "* SEARCH 1" "$(user=dora mail INBOX --request 'SEARCH SUBJECT "letter 3"')"
    equal "left by imaplib" 4 "$(user=dora mail Lib/Work --request 'SEARCH ALL' | count)"
    equal "flagged by imaplib" "* SEARCH 1 2" "$(user=dora mail Lib/Work --request 'SEARCH FLAGGED KEYWORD $Forwarded')"
}

test_fetchmail() {
    say "fetchmail: takes mail away"
    local n
    for n in 1 2 3; do
        user=erik deliver "$n"
    done
    cat >"$work/fetchmailrc" <<RC
poll ${imap%:*} service ${imap##*:} protocol IMAP
    user "erik@example.org" password "secret" sslproto ""
    mda "cat >>$work/fetched"
RC
    chmod 600 "$work/fetchmailrc"
    FETCHMAILHOME=$work fetchmail --fetchmailrc "$work/fetchmailrc" --nosyslog --fetchall >"$work/fetchmail.log" 2>&1 ||
        fail "fetchmail"
    equal "fetched by fetchmail" 3 "$(grep -c '^This is letter' "$work/fetched")"
    equal "left by fetchmail" 0 "$(user=erik mail INBOX --request 'SEARCH ALL' | count)"
}

test_imapfilter() {
    say "imapfilter: moves mail by its header"
    local n
    for n in 1 2 3 4; do
        user=erik deliver "$n"
    done
    cat >"$work/imapfilter.lua" <<LUA
options.create = true
options.starttls = false
account = IMAP { server = '${imap%:*}', port = ${imap##*:}, username = 'erik@example.org', password = 'secret' }
local found = account.INBOX:contain_subject('letter 2') + account.INBOX:contain_subject('letter 4')
found:move_messages(account['Sorted'])
account.INBOX:is_unseen():mark_flagged()
LUA
    HOME=$work imapfilter -c "$work/imapfilter.lua" >"$work/imapfilter.log" 2>&1 </dev/null || fail "imapfilter"
    equal "moved by imapfilter" 2 "$(user=erik mail Sorted --request 'SEARCH ALL' | count)"
    equal "flagged by imapfilter" "* SEARCH 1 2" "$(user=erik mail INBOX --request 'SEARCH FLAGGED')"
}

test_offlineimap() {
    say "offlineimap: mirrors two ways"
    local n
    go run ./bench/clients/fill --imap "$imap" --user fay@example.org --password secret --mailbox Mirror --count 300 ||
        fail "filling the mailbox"
    cat >"$work/offlineimaprc" <<RC
[general]
accounts = fay
metadata = $work/offlineimap
ui = basic
[Account fay]
localrepository = here
remoterepository = there
[Repository here]
type = Maildir
localfolders = $work/offline
[Repository there]
type = IMAP
remotehost = ${imap%:*}
remoteport = ${imap##*:}
remoteuser = fay@example.org
remotepass = secret
ssl = no
starttls = no
auth_mechanisms = PLAIN, LOGIN
folderfilter = lambda name: name == 'Mirror'
RC
    offline
    equal "mirrored by offlineimap" 300 "$(find "$work/offline/Mirror/cur" "$work/offline/Mirror/new" -type f | wc -l | tr -d ' ')"
    n=0
    local file name
    for file in $(find "$work/offline/Mirror/cur" "$work/offline/Mirror/new" -type f | sort | head -n 8); do
        n=$((n + 1))
        name=${file##*/}
        if [ $n -le 4 ]; then
            mv "$file" "$work/offline/Mirror/cur/${name%%:2,*}:2,FS"
        else
            rm "$file"
        fi
    done
    user=fay mail Mirror --request 'UID STORE 300 +FLAGS (\Answered)' >"$work/behind.log"
    offline
    equal "flagged by offlineimap" 4 "$(user=fay mail Mirror --request 'SEARCH FLAGGED' | count)"
    equal "deleted by offlineimap" 296 "$(user=fay mail Mirror --request 'SEARCH UNDELETED' | count)"
    equal "answered in the mirror" 1 "$(find "$work/offline/Mirror/cur" "$work/offline/Mirror/new" -type f -name '*:2,*R*' | wc -l | tr -d ' ')"
}

offline() {
    HOME=$work offlineimap -c "$work/offlineimaprc" -o >"$work/offlineimap.log" 2>&1 </dev/null || fail "offlineimap"
}
