# Thunderbird, without a screen and driven from within; run.sh reads this file.

# tb FUNCTION [ARGUMENTS…] runs a function of thunderbird.js in Thunderbird.
tb() {
    timeout 90 python3 bench/clients/thunderbird.py "$work/thunderbird/profile" "$@" 2>"$work/thunderbird-step.log" ||
        fail "Thunderbird: $*: $(cat "$work/thunderbird-step.log")"
}

thunderbird_start() {
    local profile=$work/thunderbird/profile
    rm -f "$profile/MarionetteActivePort"
    HOME=$work/thunderbird MOZ_LOG=IMAP:4,sync MOZ_LOG_FILE=$work/thunderbird/$1 MOZ_CRASHREPORTER_DISABLE=1 \
        thunderbird --headless --no-remote --profile "$profile" --marionette --remote-allow-system-access \
        >"$work/thunderbird/out" 2>&1 </dev/null &
    thunderbird=$!
    log=$work/thunderbird/$1.moz_log
}

thunderbird_quit() {
    tb quit
    wait_for "Thunderbird has ended" thunderbird_ended
    thunderbird=
}

thunderbird_ended() { ! kill -0 "$thunderbird"; }

# thunderbird_profile sets up the account as the assistant for new accounts would,
# and leaves out what goes to the network by itself.
thunderbird_profile() {
    mkdir -p "$work/thunderbird/profile"
    cat >"$work/thunderbird/profile/user.js" <<JS
user_pref("mail.accountmanager.accounts", "account1");
user_pref("mail.accountmanager.defaultaccount", "account1");
user_pref("mail.account.account1.server", "server1");
user_pref("mail.account.account1.identities", "id1");
user_pref("mail.server.server1.type", "imap");
user_pref("mail.server.server1.hostname", "${imap%:*}");
user_pref("mail.server.server1.port", ${imap##*:});
user_pref("mail.server.server1.userName", "hugo@example.org");
user_pref("mail.server.server1.name", "hugo");
user_pref("mail.server.server1.socketType", 0);
user_pref("mail.server.server1.authMethod", 3);
user_pref("mail.server.server1.login_at_startup", false);
user_pref("mail.server.server1.use_condstore", true);
user_pref("mail.identity.id1.fullName", "Hugo");
user_pref("mail.identity.id1.useremail", "hugo@example.org");
user_pref("mail.identity.id1.valid", true);
user_pref("mail.provider.suppress_dialog_on_startup", true);
user_pref("mailnews.start_page.enabled", false);
user_pref("mail.shell.checkDefaultClient", false);
user_pref("app.update.enabled", false);
user_pref("extensions.update.enabled", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("mailnews.confirm.moveFoldersToTrash", false);
user_pref("marionette.port", 0);
JS
}

test_thunderbird() {
    say "Thunderbird: read, mark, file, delete, write, search, folders, IDLE; go away and resynchronise with CONDSTORE"
    local user=hugo log n
    for n in 1 2 3 4 5 6; do
        deliver "$n"
    done
    thunderbird_profile
    thunderbird_start first
    tb login "$user@example.org" secret
    tb folders >"$work/thunderbird-folders.log"
    contains "Thunderbird sees the folders" '^INBOX$' "$work/thunderbird-folders.log"
    tb update INBOX
    equal "letters in Thunderbird" "$(printf '%s letter %s\n' 1 1 2 2 3 3 4 4 5 5 6 6)" "$(tb letters INBOX)"
    thunderbird_reads
    thunderbird_files
    thunderbird_writes
    thunderbird_idles
    thunderbird_resynchronises
    contains "COMPRESS" 'OK DEFLATE active' "$log"
    contains "UTF8=ACCEPT" 'ENABLED UTF8=ACCEPT' "$log"
    # It asks once for the name that it has just taken from a folder.
    lacks "nothing else was refused" 'CreateNewLineFromSocket: [0-9]+ (BAD|NO [^[]|NO \[[^N])' "$log"
    thunderbird_quit
    thunderbird_restarts
    printf 'ok  Thunderbird\n'
}

thunderbird_reads() {
    tb read INBOX 1 >"$work/thunderbird-read.log"
    contains "Thunderbird reads a letter" '^This is letter 1\.' "$work/thunderbird-read.log"
    tb mark INBOX 1 read
    tb mark INBOX 2 flagged
    tb mark INBOX 2 '$label1'
    wait_for "read in Thunderbird" flags_are 'SEARCH SEEN' '* SEARCH 1'
    wait_for "flagged by Thunderbird" flags_are 'SEARCH FLAGGED' '* SEARCH 2'
    wait_for "labelled by Thunderbird" flags_are 'SEARCH KEYWORD $label1' '* SEARCH 2'
    tb mark INBOX 1 unread
    wait_for "unread again" flags_are 'SEARCH UNSEEN' '* SEARCH 1 2 3 4 5 6'
    equal "Thunderbird searches on the server" "3 letter 3" "$(tb search INBOX 'This is letter 3')"
}

# Letters are copied, moved, and deleted to the trash.
thunderbird_files() {
    tb create 'Grüße & mehr'
    tb folders >"$work/thunderbird-folders.log"
    contains "the new folder" '^Grüße & mehr$' "$work/thunderbird-folders.log"
    tb copy INBOX 1 'Grüße & mehr'
    tb move INBOX 3 'Grüße & mehr'
    tb trash INBOX 4
    wait_for "what is left in INBOX" flags_are 'UID SEARCH UNDELETED' '* SEARCH 1 2 5 6'
    equal "deleted by Thunderbird" 'Subject: letter 4' "$(mail 'Trash;UID=1' | grep '^Subject')"
    mail '' --request 'LIST "" "*"' >"$work/thunderbird-folders.log"
    contains "the folder's name" '"?Gr&APwA3w-e &- mehr"?$' "$work/thunderbird-folders.log"
    tb rename 'Grüße & mehr' Sorted
    equal "filed by Thunderbird" 2 "$(mail Sorted --request 'SEARCH ALL' | count)"
    tb update Sorted
    equal "filed in Thunderbird" "1 letter 1
2 letter 3" "$(tb letters Sorted)"
}

# A draft is kept, written again, and a letter that was sent is kept.
thunderbird_writes() {
    printf 'From: hugo@example.org\r\nTo: dave@example.com\r\nSubject: answer\r\nMessage-ID: <answer@example.org>\r\nDate: Sun, 1 Nov 2026 12:00:00 +0000\r\n\r\nMy answer.\r\n' >"$work/answer.eml"
    tb create Drafts
    tb store Drafts "$work/answer.eml" draft
    equal "a draft of Thunderbird" '* SEARCH 1' "$(mail Drafts --request 'SEARCH DRAFT SUBJECT answer')"
    tb create Sent
    tb store Sent "$work/answer.eml" sent
    equal "a sent letter of Thunderbird" '* SEARCH 1' "$(mail Sent --request 'SEARCH SEEN BODY "My answer."')"
    tb remove Sorted
    wait_for "the folder is in the trash" thunderbird_folder_is Trash/Sorted
}

thunderbird_folder_is() { mail '' --request 'LIST "" "*"' | grep -q "\"/\" \"\\?$1\"\\?\$"; }

# Nothing asks the server here: what comes, comes by IDLE.
thunderbird_idles() {
    tb update INBOX
    wait_for "Thunderbird idles" grep -q -E 'INBOX:SendData: [0-9]+ IDLE' "$log"
    deliver 7
    tb has INBOX "7 letter 7"
    mail INBOX --request 'UID STORE 5 +FLAGS (\Flagged)' >"$work/behind.log"
    tb has INBOX "5 letter 5 flagged"
    printf 'ok  told by IDLE of a letter and of a flag\n'
}

# It goes offline; behind its back flags change, a letter goes, one comes.
thunderbird_resynchronises() {
    local from
    tb line offline
    thunderbird_behind
    deliver 8
    from=$(wc -l <"$log")
    tb line online
    tb update INBOX
    tb has INBOX "8 letter 8"
    equal "resynchronised" "2 letter 2 flagged \$label1
5 letter 5 flagged
6 letter 6 read replied
7 letter 7
8 letter 8" "$(tb letters INBOX | grep -v '^[34] ')"
    tail -n "+$from" "$log" >"$work/thunderbird-resync.log"
    contains "asks what has changed" 'S-INBOX:SendData: [0-9]+ UID fetch 1:\* \(FLAGS\) \(CHANGEDSINCE [0-9]+\)' "$work/thunderbird-resync.log"
    # It asks for all flags after that: CONDSTORE does not tell what was expunged, and
    # Thunderbird has no QRESYNC.
}

# thunderbird_behind changes flags and expunges letter 1.
thunderbird_behind() {
    mail INBOX --request 'UID STORE 6 +FLAGS (\Seen \Answered)' >"$work/behind.log"
    mail INBOX --request 'UID STORE 1 +FLAGS (\Deleted)' >>"$work/behind.log"
    mail INBOX --request 'UID EXPUNGE 1' >>"$work/behind.log"
}

thunderbird_restarts() {
    mail INBOX --request 'UID STORE 7 +FLAGS ($label2)' >"$work/behind.log"
    thunderbird_start second
    tb update INBOX
    tb has INBOX '7 letter 7 $label2'
    contains "after a restart asks what has changed" 'S-INBOX:SendData: [0-9]+ UID fetch 1:\* \(FLAGS\) \(CHANGEDSINCE [0-9]+\)' "$log"
    lacks "after a restart does not ask for all flags" 'S-INBOX:SendData: [0-9]+ UID fetch [0-9:*]+ \(FLAGS\)[[:space:]]*$' "$log"
    lacks "after a restart fetches nothing again" 'SendData: [0-9]+ UID fetch .*BODY' "$log"
    thunderbird_quit
}
