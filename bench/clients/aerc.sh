# aerc, driven by keys in a terminal of tmux; run.sh reads this file.

# aerc_does COMMAND types one of aerc's own commands.
aerc_does() { keys ":$1" Enter; }

test_aerc() {
    say "aerc: read, flag, archive, delete, and be told of new mail"
    local user=gina home=$work/aerc n
    for n in 1 2 3 4; do
        deliver "$n"
    done
    mkdir -p "$home/.config/aerc"
    cat >"$home/.config/aerc/accounts.conf" <<RC
[quorumail]
source = imap+insecure://gina%40example.org:secret@$imap
outgoing = /bin/true
from = Gina <gina@example.org>
default = INBOX
archive = Archive
RC
    chmod 600 "$home/.config/aerc/accounts.conf"
    printf '[ui]\nsort = arrival\n[filters]\ntext/plain=cat\n' >"$home/.config/aerc/aerc.conf"
    term -f /dev/null new-session -d -s reader -x 120 -y 30 \
        "export HOME='$home' XDG_CONFIG_HOME='$home/.config' XDG_DATA_HOME='$home/data' XDG_CACHE_HOME='$home/cache' && exec aerc >'$work/aerc.log' </dev/tty"
    wait_for "aerc shows four letters" on_screen 'INBOX +4/4'
    wait_for "aerc shows the first" on_screen 'letter 1'
    aerc_does 'select 0'
    keys Enter
    wait_for "aerc shows a letter" on_screen 'This is letter [0-9]'
    aerc_does close
    wait_for "the letter is read on the server" flag_count SEEN 1
    aerc_does 'select 1'
    aerc_does flag
    wait_for "the flag has come to the server" flag_count FLAGGED 1
    aerc_does 'select 2'
    aerc_does 'delete'
    wait_for "the letter is deleted on the server" flag_count ALL 3
    aerc_does 'select 0'
    aerc_does 'archive flat'
    wait_for "the letter has left the INBOX" flag_count ALL 2
    equal "archived by aerc" "* SEARCH 1" "$(mail Archive --request 'SEARCH ALL')"
    deliver 5
    wait_for "aerc is told of a new letter" on_screen 'letter 5'
    keys ':quit' Enter
    wait_for "aerc has ended" reader_ended
    printf 'ok  aerc\n'
}

# flag_count KEY N succeeds if SEARCH KEY finds N messages.
flag_count() { [ "$(mail INBOX --request "SEARCH $1" | count)" = "$2" ]; }
