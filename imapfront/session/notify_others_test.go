package session

import (
	"slices"
	"strings"
	"testing"

	"github.com/quorumail/quorumail/imapfront/wire"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// Accounts of others are watched where the client has asked for mailboxes that can
// be in them, and no others.
func TestOwnersThatAreWatched_RFC5465_6(t *testing.T) {
	sharedBy := []string{"carol@example.org", "dave@example.org"}
	subscriptions := []string{"INBOX", "Other Users/erin@example.org/x", "Other Users/me@example.org/x"}
	for groups, want := range map[string]string{
		`(personal (MailboxName))`:                                                           "",
		`(inboxes (MessageNew MessageExpunge))`:                                              "",
		`(selected (MessageNew MessageExpunge))`:                                             "",
		`(subscribed (MailboxName))`:                                                         "erin",
		`(subtree "Other Users" (MailboxName))`:                                              "carol dave erin",
		`(mailboxes "Other Users" (MailboxName))`:                                            "",
		`(subtree "Other Users" none)`:                                                       "",
		`(subtree "Other Users/Dave@Example.org" (MailboxName)) (mailboxes a (MailboxName))`: "dave",
		`(mailboxes ("Other Users/zoe@example.org/inbox" "Other Users/me@example.org/a") (MailboxName))`: "zoe",
	} {
		_, cmd, err := wire.NewReader(strings.NewReader("t notify set "+groups+"\r\n"), wire.Limits{}, nil).ReadCommand()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, owner := range newNotify(cmd.(wire.Notify)).owners("me@example.org", sharedBy, subscriptions) {
			got = append(got, strings.TrimSuffix(owner, "@example.org"))
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s: watches %q, want %q", groups, s, want)
		}
	}
	for name, want := range map[string]string{
		"Other Users/Dave@Example.org/inbox": "Other Users/dave@example.org/INBOX",
		"Other Users/Dave@Example.org":       "Other Users/dave@example.org",
		"Other Users/x y/inbox":              "Other Users/x y/inbox",
		"Other Users":                        "Other Users",
		"other users/a/inbox":                "other users/a/inbox",
	} {
		if got := nameOfGroup(name); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
}

// An event that came before it was known to be of a mailbox of the scope is not
// lost; those of other mailboxes wake nobody.
func TestScopeMissesNothing(t *testing.T) {
	event := func(modSeq uint64, list bool, ids ...uint64) *pb.WatchResponse {
		return &pb.WatchResponse{ModSeq: modSeq, MailboxList: list, MailboxIds: ids}
	}
	at := func(modSeq uint64, words ...string) *listing {
		l := account(words...)
		l.modSeq = modSeq
		return l
	}
	var s scope
	if s.set(at(3, "7 a")) {
		t.Error("something was missed before there was anything")
	}
	if s.concerns(event(4, false, 5, 8)) || !s.concerns(event(5, false, 5, 7)) || !s.concerns(event(6, true)) {
		t.Error("only mailbox 7 and the list are of concern")
	}
	if s.set(at(6, "7 a", "8 b")) {
		t.Error("the listing has all that was passed over")
	}
	if s.concerns(event(8, false, 9)) {
		t.Error("mailbox 9 is not known yet")
	}
	if s.set(at(7, "7 a", "8 b")) {
		t.Error("mailbox 9 is none of the client's")
	}
	if !s.set(at(7, "7 a", "8 b", "9 c")) {
		t.Error("modseq 8 may have been of mailbox 9")
	}
	denied := at(9, "7 a")
	denied.boxes[0].denied = true
	if s.set(denied); s.concerns(event(10, false, 7)) {
		t.Error("what cannot be read is of no concern")
	}
}

// Which names of another account are told for the sake of access alone.
func TestAccessThatChanges_RFC5465_5_9(t *testing.T) {
	at := func(words ...string) *listing { // "-" before the name: it cannot be read
		l := account(words...)
		for i := range l.boxes {
			l.boxes[i].name, l.boxes[i].denied = strings.CutPrefix(l.boxes[i].name, "-")
		}
		return l
	}
	a := &watched{}
	listing := at("1 a", "2 -b", "3 c")
	for _, step := range []struct {
		words []string
		want  []string
	}{
		{[]string{"1 a", "2 b", "3 -c"}, []string{"b", "c"}},
		{[]string{"1 a", "2 b", "3 -c", "4 d"}, nil}, // a new one that can be read is for MailboxName
		{[]string{"1 a", "2 b", "3 -c", "4 d", "5 -e"}, []string{"e"}},
		{[]string{"2 b", "4 d", "5 -e"}, []string{"a lost", "c lost"}},
		{[]string{"2 x", "4 d", "5 -e"}, nil},                  // renamed
		{[]string{"1 a", "2 x", "4 d", "5 -e"}, []string{"a"}}, // back, as it was told to be lost
		{nil, []string{"a lost", "d lost", "e lost", "x lost"}},
	} {
		after := at(step.words...)
		names := a.accessNames(listing, after, compare(listing, after))
		var got []string
		for _, c := range names {
			if c.lost {
				c.name += " lost"
			}
			got = append(got, c.name)
		}
		slices.Sort(got)
		if !slices.Equal(got, step.want) {
			t.Errorf("%v: told %q, want %q", step.words, got, step.want)
		}
		a.noteAccess(names)
		listing = after
	}
	for i := range 2 * maxGone {
		a.noteAccess([]nameChange{{name: strings.Repeat("x", i), lost: true}})
	}
	if len(a.refused) > maxGone {
		t.Errorf("%d names are remembered", len(a.refused))
	}
}
