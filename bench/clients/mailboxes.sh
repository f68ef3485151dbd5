# shellcheck shell=bash
# Mailboxes that are new on either side of what mirrors: sourced by run.sh.

# letter SUBJECT writes a message to $work/letter.eml.
letter() {
    printf 'From: dave@example.com\r\nTo: %s@example.org\r\nSubject: %s\r\nMessage-ID: <%s@example.com>\r\nDate: Sun, 1 Nov 2026 12:00:00 +0000\r\n\r\nThis is %s.\r\n' \
        "$user" "$1" "$1" "$1" >"$work/letter.eml"
}

# new_there NAME PATH SUBJECT makes a mailbox on the server with a letter; PATH is its
# name as a URL has it.
new_there() {
    mail '' --request "CREATE \"$1\"" >"$work/behind.log"
    letter "$3"
    mail "$2" --upload-file "$work/letter.eml"
}

# new_here DIRECTORY SUBJECT makes a mailbox in a Maildir with a letter.
new_here() {
    mkdir -p "$1/cur" "$1/new" "$1/tmp"
    letter "$2"
    tr -d '\r' <"$work/letter.eml" >"$1/new/1793534400.$2.here"
}

# same_mailboxes CLIENT WANT MAILDIR… checks what there is after mirroring: WANT is the
# names that the server lists, and each of the Maildirs has one message.
same_mailboxes() {
    local client=$1 want=$2 path dir
    shift 2
    equal "$client: mailboxes on the server" "$want" "$(mail '' --request 'LIST "" *' | sed 's|.* "/" ||; s|"||g' | LC_ALL=C sort | paste -sd ' ')"
    for path in ${want// / }; do
        [ "$path" = INBOX ] || equal "$client: messages of $path" "* SEARCH 1" "$(mail "${path//&/%26}" --request 'SEARCH ALL')"
    done
    for dir; do
        equal "$client: files in ${dir#"$work"/}" 1 "$(find "$dir/cur" "$dir/new" -type f | wc -l | tr -d ' ')"
    done
}

# flag_here DIRECTORY flags the one message of a Maildir.
flag_here() {
    local file name
    file=$(find "$1/cur" "$1/new" -type f)
    name=${file##*/}
    mv "$file" "$1/cur/${name%%:2,*}:2,FS"
}

# mirrors_mailboxes CLIENT SYNC ROOT SEPARATOR GREEN PALE has new mailboxes of both sides mirrored,
# and then, in each, a flag that was set on the side that had not made it. SYNC is the
# command that mirrors, ROOT where the Maildirs are, GREEN and PALE what "Grün" and "Blä"
# are called there.
mirrors_mailboxes() {
    local client=$1 sync=$2 root=$3 sep=$4 green=$5 pale=$6 name
    local all='Bl&AOQ- Gr&APw-n Home Home/Box INBOX Work Work/Deep/er'
    local there=("$root/Work" "$root/Work${sep}Deep${sep}er" "$root/$green") here=("$root/Home" "$root/Home${sep}Box" "$root/$pale")
    new_there Work Work work
    new_there Work/Deep/er Work/Deep/er deeper
    new_there 'Gr&APw-n' 'Gr%26APw-n' green
    new_here "${here[0]}" home
    new_here "${here[1]}" box
    new_here "${here[2]}" pale
    $sync
    same_mailboxes "$client" "$all" "${there[@]}" "${here[@]}"
    for name in "${there[@]}"; do
        flag_here "$name"
    done
    for name in Home Home/Box 'Bl%26AOQ-'; do
        mail "$name" --request 'STORE 1 +FLAGS (\Answered)' >"$work/behind.log"
    done
    $sync
    same_mailboxes "$client" "$all" "${there[@]}" "${here[@]}"
    for name in Work Work/Deep/er 'Gr%26APw-n'; do
        equal "$client: flagged in $name" "* SEARCH 1" "$(mail "$name" --request 'SEARCH FLAGGED')"
    done
    for name in "${here[@]}"; do
        equal "$client: answered in ${name#"$work"/}" 1 "$(find "$name/cur" "$name/new" -type f -name '*:2,*R*' | wc -l | tr -d ' ')"
    done
}

test_mbsync_mailboxes() {
    say "mbsync: new mailboxes, here and there"
    local user=ida
    { mbsync_stores "$user" maildir-new && cat; } >"$work/mbsyncrc-new" <<RC

Channel new
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
Sync All
SyncState *
RC
    mkdir -p "$work/maildir-new"
    mirrors_mailboxes mbsync mbsync_new "$work/maildir-new" / 'Gr&APw-n' 'Bl&AOQ-' # it takes names as they are
}

mbsync_new() {
    mbsync --config "$work/mbsyncrc-new" new >"$work/mbsync-new.log" 2>&1 || fail "mbsync"
}

test_offlineimap_mailboxes() {
    say "offlineimap: new mailboxes, here and there"
    local user=jane
    cat >"$work/offlineimaprc-new" <<RC
[general]
accounts = jane
metadata = $work/offlineimap-new
ui = basic
[Account jane]
localrepository = here
remoterepository = there
utf8foldernames = yes
[Repository here]
type = Maildir
localfolders = $work/offline-new
[Repository there]
type = IMAP
remotehost = ${imap%:*}
remoteport = ${imap##*:}
remoteuser = $user@example.org
remotepass = secret
ssl = no
starttls = no
auth_mechanisms = PLAIN, LOGIN
RC
    mkdir -p "$work/offline-new"
    mirrors_mailboxes offlineimap offlineimap_new "$work/offline-new" . Grün Blä
}

offlineimap_new() {
    HOME=$work offlineimap -c "$work/offlineimaprc-new" -o >"$work/offlineimap-new.log" 2>&1 </dev/null || fail "offlineimap"
}
