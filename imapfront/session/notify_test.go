package session

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// account makes a listing of "id name" and "name+" (subscribed to).
func account(words ...string) *listing {
	l := &listing{}
	for _, w := range words {
		if name, ok := strings.CutSuffix(w, "+"); ok {
			l.subscriptions = append(l.subscriptions, name)
			continue
		}
		b := boxState{uidNext: 1, modSeq: 1}
		if _, err := fmt.Sscanf(w, "%d %s", &b.id, &b.name); err != nil {
			panic(err)
		}
		b.uidValidity = uint32(b.id)
		l.boxes = append(l.boxes, b)
	}
	return l
}

func TestNamesThatHaveChanged_RFC5465_5_4(t *testing.T) {
	for _, c := range []struct {
		before, after []string
		want          string
	}{
		{[]string{"1 a"}, []string{"1 a"}, ""},
		{[]string{"1 a"}, []string{"1 a", "2 b"}, "b"},
		{[]string{"1 a"}, []string{"1 a", "2 a/b/c"}, "a/b a/b/c"},
		{[]string{"1 a", "2 a/b"}, []string{"1 a"}, "a/b a"},
		{[]string{"1 a", "2 a/b"}, nil, "a a/b"},
		{[]string{"1 a"}, []string{"1 b"}, "b<a"},
		{[]string{"1 a"}, []string{"2 a"}, "a"}, // removed and made again
		// Those below a renamed mailbox are not told of, unless they have gone elsewhere.
		{[]string{"1 a", "2 a/b", "3 a/b/c", "4 ab"}, []string{"1 x", "2 x/b", "3 x/b/c", "4 ab"}, "x<a"},
		{[]string{"1 a", "2 a/b", "3 a/b/c"}, []string{"1 x", "2 x/y", "3 x/y/c"}, "x/y<a/b x<a"},
		{[]string{"1 a", "2 a/b"}, []string{"1 x", "2 b"}, "b<a/b x<a"},
		{[]string{"1 a", "2 a/b", "3 a/c"}, []string{"1 x", "2 x/b"}, "a/c x<a"}, // its old parent is renamed
		{[]string{"1 a", "2 a/b"}, []string{"1 x", "2 x/b", "3 x/n"}, "x<a x/n"},
		// Each after the one that has left its name.
		{[]string{"1 a", "2 b", "3 c"}, []string{"1 b", "2 c", "3 d"}, "d<c c<b b<a"},
		{[]string{"1 a", "2 b"}, []string{"1 b", "2 a"}, "b<a a<b b"}, // in a circle there is no right order
		{[]string{"1 a", "2 b"}, []string{"2 a"}, "a<b"},
		// INBOX keeps its id when it is renamed: a new mailbox is made of what was in it.
		{[]string{"1 INBOX"}, []string{"1 INBOX", "2 old"}, "old"},
		{[]string{"1 a", "a+", "b+"}, []string{"1 a", "b+", "c+"}, "-a +c"},
	} {
		before, after := account(c.before...), account(c.after...)
		d := compare(before, after)
		var got []string
		for _, c := range d.names {
			if c.old != "" {
				c.name += "<" + c.old
			}
			got = append(got, c.name)
		}
		for _, name := range d.subscriptions {
			sign := "-"
			if after.subscribed(name) {
				sign = "+"
			}
			got = append(got, sign+name)
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%v to %v: %q, want %q", c.before, c.after, s, c.want)
		}
	}
}

func TestStatusItems_RFC5465_5_1_to_5_3(t *testing.T) {
	was := boxState{id: 1, uidNext: 5, exists: 3, unseen: 2, modSeq: 9}
	now := func(f func(*boxState)) boxState { b := was; b.modSeq++; f(&b); return b }
	arrived := now(func(b *boxState) { b.uidNext, b.exists, b.unseen = 6, 4, 3 })
	expunged := now(func(b *boxState) { b.exists-- })
	both := now(func(b *boxState) { b.uidNext++ })
	seen := now(func(b *boxState) { b.unseen = 0 })
	flagged := now(func(*boxState) {})
	empty := boxState{id: 7, uidNext: 1}
	made := stateChange{before: boxState{uidNext: 1}}
	reborn := stateChange{before: boxState{uidNext: 1}, reborn: true}
	change := stateChange{before: was}
	all := messageEvents | flagChange
	for _, c := range []struct {
		want      events
		change    stateChange
		now       boxState
		condstore bool
		items     string
	}{
		{messageEvents, change, arrived, false, "MESSAGES UIDNEXT"},
		{messageEvents, change, arrived, true, "MESSAGES UIDNEXT HIGHESTMODSEQ"},
		{messageEvents, change, expunged, true, "MESSAGES UIDNEXT HIGHESTMODSEQ"},
		{messageEvents, change, both, false, "MESSAGES UIDNEXT"},
		{messageEvents, change, seen, true, ""},
		{messageEvents, change, flagged, true, ""},
		{all, change, arrived, false, "MESSAGES UIDNEXT UNSEEN"},
		{all, change, arrived, true, "MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ"},
		{all, change, seen, false, "UNSEEN"},
		{all, change, flagged, false, ""},
		{all, change, flagged, true, "UIDVALIDITY HIGHESTMODSEQ"},
		{mailboxName | subscriptionChange | metadataChange, change, arrived, true, ""},
		{all, made, empty, true, ""},
		{all, made, arrived, false, "MESSAGES UIDNEXT UIDVALIDITY UNSEEN"},
		{messageEvents, made, arrived, false, "MESSAGES UIDNEXT UIDVALIDITY"},
		{messageEvents, reborn, empty, false, "MESSAGES UIDNEXT UIDVALIDITY"},
		{all, reborn, empty, true, "MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ"},
		{mailboxName, reborn, arrived, false, ""},
	} {
		var items []string
		for _, i := range statusItems(c.want, c.change, c.now, c.condstore) {
			items = append(items, string(i))
		}
		if s := strings.Join(items, " "); s != c.items {
			t.Errorf("%05b %+v to %+v, CONDSTORE %t: %s, want %s", c.want, c.change, c.now, c.condstore, s, c.items)
		}
	}
}

func TestMailboxSpecifiers_RFC5465_6(t *testing.T) {
	for _, c := range []struct {
		command string
		want    string // names of which messages are wanted
	}{
		{"(personal (MessageNew MessageExpunge))", "INBOX a a/b a/b/c ab"},
		{"(inboxes (MessageNew MessageExpunge))", "INBOX a a/b a/b/c ab"},
		{"(subscribed (MessageNew MessageExpunge))", "a/b"},
		{"(subtree a (MessageNew MessageExpunge))", "a a/b a/b/c"},
		{"(subtree (a/b x) (MessageNew MessageExpunge))", "a/b a/b/c"},
		{"(mailboxes (a inbox x) (MessageNew MessageExpunge))", "INBOX a"},
		{"(mailboxes a/ (MailboxName)) (mailboxes ab (MessageNew MessageExpunge MailboxName))", "ab"},
		{"(mailboxes a (MessageNew MessageExpunge)) (subtree a/b (MessageNew MessageExpunge))", "a a/b a/b/c"},
		// NONE
		{"(personal none)", ""},
		{"(personal (MessageNew MessageExpunge)) (mailboxes ab none)", "INBOX a a/b a/b/c"},
		{"(subtree a none) (personal (MessageNew MessageExpunge))", "INBOX ab"},
		{"(subtree a none) (personal (MessageNew MessageExpunge)) (mailboxes a/b/c (MessageNew MessageExpunge))", "INBOX a/b/c ab"},
		{"(mailboxes a (MessageNew MessageExpunge)) (personal none)", "a"},
		{"(mailboxes a (MessageNew MessageExpunge)) (mailboxes a none)", ""},
		{"(subscribed none) (inboxes (MessageNew MessageExpunge))", "INBOX a a/b/c ab"},
		{"(personal (ServerMetadataChange)) (personal (MessageNew MessageExpunge))", "INBOX a a/b a/b/c ab"},
	} {
		_, cmd, err := wire.NewReader(strings.NewReader("t notify set "+c.command+"\r\n"), wire.Limits{}, nil).ReadCommand()
		if err != nil {
			t.Fatal(err)
		}
		n := newNotify(cmd.(wire.Notify))
		var got []string
		for _, name := range []string{"INBOX", "a", "a/b", "a/b/c", "ab"} {
			if n.of(name, name == "a/b")&messageEvents != 0 {
				got = append(got, name)
			}
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: %s, want %s", c.command, s, c.want)
		}
	}
}

// What a session has done itself is left out, also where others have done
// something else at the same time; and never more than that.
func TestOwnChangesAreLeftOut_RFC5465_5(t *testing.T) {
	a := &watched{known: listing{modSeq: 7, subscriptions: []string{"b", "d"}, boxes: []boxState{
		{id: 1, name: "INBOX", uidNext: 5, exists: 4, modSeq: 7}, {id: 2, name: "b", uidNext: 1, modSeq: 3},
		{id: 5, name: "r", uidNext: 1, modSeq: 3}, {id: 6, name: "r/s", uidNext: 1, modSeq: 3}, {id: 7, name: "gone", uidNext: 1, modSeq: 3},
	}}}
	if !a.covers(7) || a.covers(8) {
		t.Error("nothing has been done")
	}
	ok := func(id, modSeq uint64, uids, source string) *pb.Result {
		return &pb.Result{MailboxId: id, ModSeq: modSeq, Uids: packed(parseSet(uids)), SourceUids: packed(parseSet(source))}
	}
	for modSeq, e := range []struct {
		op  *pb.Entry
		res *pb.Result
	}{
		8:  {&pb.Entry{Op: &pb.Entry_Append{}}, ok(1, 8, "5:6", "")},
		9:  {&pb.Entry{Op: &pb.Entry_Copy{Copy: &pb.CopyOp{MailboxId: 1, Move: true}}}, ok(2, 9, "1", "5")},
		10: {&pb.Entry{Op: &pb.Entry_CreateMailbox{CreateMailbox: &pb.CreateMailboxOp{Name: "x/y"}}}, ok(3, 10, "", "")},
		11: {&pb.Entry{Op: &pb.Entry_RenameMailbox{RenameMailbox: &pb.RenameMailboxOp{From: "r", To: "q"}}}, ok(0, 11, "", "")},
		12: {&pb.Entry{Op: &pb.Entry_DeleteMailbox{DeleteMailbox: &pb.DeleteMailboxOp{Name: "gone"}}}, ok(7, 12, "", "")},
		13: {&pb.Entry{Op: &pb.Entry_Subscribe{Subscribe: &pb.SubscribeOp{Name: "c", Subscribed: true}}}, ok(0, 13, "", "")},
		14: {&pb.Entry{Op: &pb.Entry_Subscribe{Subscribe: &pb.SubscribeOp{Name: "d"}}}, ok(0, 14, "", "")},
		15: {&pb.Entry{Op: &pb.Entry_CreateMailbox{CreateMailbox: &pb.CreateMailboxOp{Name: "brief"}}}, ok(8, 15, "", "")},
		16: {&pb.Entry{Op: &pb.Entry_RenameMailbox{RenameMailbox: &pb.RenameMailboxOp{From: "INBOX", To: "old"}}}, ok(9, 16, "", "")},
	} {
		if modSeq >= 8 {
			a.note(e.op, e.res)
		}
	}
	if !a.covers(16) || a.covers(17) || a.covers(15) {
		t.Errorf("%d entries are own, want 9", a.own)
	}
	after := &listing{subscriptions: []string{"b", "c", "e"}, boxes: []boxState{
		{id: 1, name: "INBOX", uidNext: 7, exists: 5, modSeq: 9}, {id: 2, name: "b", uidNext: 3, exists: 2, modSeq: 17},
		{id: 3, name: "x/y", uidNext: 1, modSeq: 10}, {id: 4, name: "x/z", uidNext: 1, modSeq: 18},
		{id: 5, name: "q", uidNext: 1, modSeq: 3}, {id: 6, name: "q/s", uidNext: 1, modSeq: 3}, {id: 9, name: "old", uidNext: 1, modSeq: 16},
	}}
	d := compare(&a.known, after)
	// Others have made x/z, removed brief, added a message to b, and subscribed to e.
	if want := []nameChange{{name: "brief", lost: true}, {name: "x"}, {name: "x/z"}}; !slices.Equal(d.names, want) {
		t.Errorf("names %v", d.names)
	}
	if !slices.Equal(d.subscriptions, []string{"e"}) {
		t.Errorf("subscriptions %v", d.subscriptions)
	}
	for _, s := range d.states {
		b := after.boxes[s.at]
		if told := statusItems(messageEvents, s, b, false) != nil; told != (b.name == "b") {
			t.Errorf("%s is told: %t", b.name, told)
		}
	}
}

func parseSet(s string) imapnum.Set {
	var set imapnum.Set
	for _, r := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' }) {
		var first, last imapnum.UID
		if n, _ := fmt.Sscanf(r, "%d:%d", &first, &last); n < 2 {
			last = first
		}
		set = set.Union(imapnum.SetOfRange(first, last))
	}
	return set
}
