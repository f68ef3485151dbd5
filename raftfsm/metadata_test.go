package raftfsm

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/model"
)

var someEntries = []string{"/private/comment", "/shared/comment", "/private/vendor/x/a", "/private/vendor/x/a/b", "/shared/vendor/x/ab", specialUseEntry}

// annotate sets some annotations, and removes some.
func (p *pair) annotate() {
	mailbox, names := p.name(), someEntries
	if rapid.Bool().Draw(p.T, "of the account") {
		mailbox, names = "", []string{someEntries[0], someEntries[2], someEntries[3]}
	}
	values := make(map[string]*string)
	op := &pb.SetMetadataOp{Mailbox: mailbox}
	for _, name := range rapid.SliceOfN(rapid.SampledFrom(names), 0, 4).Draw(p.T, "entries") {
		some := []string{"", "1", "2"}
		if name == specialUseEntry {
			some = []string{"", `\Sent`, `\Sent`, `\Drafts`, `\All`}
		}
		value := rapid.Ptr(rapid.SampledFrom(some), true).Draw(p.T, "value")
		values[name] = value
		e := &pb.MetadataEntry{Name: name}
		if value != nil {
			e.Value = []byte(*value)
		}
		op.Entries = append(op.Entries, e)
	}
	want := p.model.SetMetadata(mailbox, values)
	res := p.do(&pb.Entry{Op: &pb.Entry_SetMetadata{SetMetadata: op}})
	p.equal("annotate", res.GetCode() == pb.Code_CODE_OK, want)
}

// compareMetadata compares all annotations.
func (p *pair) compareMetadata(a *Account) {
	at, err := a.MetadataModSeq()
	if err != nil {
		p.Fatal(err)
	}
	p.equal("last change of an annotation", at, p.model.AnnotatedAt)
	want := map[uint64]map[string]model.Annotation{0: p.model.Annotations}
	for _, m := range p.model.Mailboxes {
		want[m.ID] = m.Annotations
	}
	got := make(map[uint64]map[string]model.Annotation)
	for id := range want {
		got[id] = make(map[string]model.Annotation)
		for _, scope := range []string{"/private", "/shared"} {
			err := a.Metadata(imapnum.MailboxID(id), "", scope, math.MaxUint32, func(e *pb.MetadataEntry) (bool, error) {
				got[id][e.GetName()] = model.Annotation{Value: string(e.GetValue()), ModSeq: e.GetModSeq()}
				return true, nil
			})
			if err != nil {
				p.Fatal(err)
			}
		}
	}
	p.equal("annotations", got, want)
	infos, _, err := a.Mailboxes()
	if err != nil {
		p.Fatal(err)
	}
	for _, info := range infos {
		p.equal("special use", info.GetSpecialUse(), want[info.GetId()][specialUseEntry].Value)
	}
	n := 0
	err = a.AllMetadata("", func(id imapnum.MailboxID, e *pb.MetadataEntry) (bool, error) {
		n++
		p.equal(e.GetName(), model.Annotation{Value: string(e.GetValue()), ModSeq: e.GetModSeq()}, want[uint64(id)][e.GetName()])
		return true, nil
	})
	if err != nil {
		p.Fatal(err)
	}
	for _, of := range want {
		n -= len(of)
	}
	p.equal("annotations that AllMetadata lacks", n, 0)
}

// annotation makes an entry; of nil values the annotations are removed.
func annotation(mailbox string, pairs ...any) *pb.Entry {
	op := &pb.SetMetadataOp{Mailbox: mailbox}
	for i := 0; i < len(pairs); i += 2 {
		e := &pb.MetadataEntry{Name: pairs[i].(string)}
		if s, ok := pairs[i+1].(string); ok {
			e.Value = []byte(s)
		}
		op.Entries = append(op.Entries, e)
	}
	return &pb.Entry{Account: alice, Op: &pb.Entry_SetMetadata{SetMetadata: op}}
}

// annotations returns what Metadata tells.
func (m *machine) annotations(mailbox, name string, depth uint32) (list []string) {
	m.t.Helper()
	a := m.inbox().a
	id := imapnum.MailboxID(0)
	if mailbox != "" {
		box, err := a.MailboxByName(mailbox)
		if err != nil {
			m.t.Fatal(err)
		}
		id = box.id
	}
	err := a.Metadata(id, "", name, depth, func(e *pb.MetadataEntry) (bool, error) {
		list = append(list, e.GetName()+"="+string(e.GetValue()))
		return true, nil
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return list
}

func TestMetadataDepth_RFC5464_4_2_2(t *testing.T) {
	m := newMachine(t)
	m.ok(newAccount())
	m.ok(create("a"))
	m.ok(annotation("INBOX", "/private/a", "1", "/private/a/b", "2", "/private/a/b/c", "3", "/private/a-b", "4", "/private/ab", "5", "/shared/a/b", "6"))
	m.ok(annotation("a", "/private/a/b", "other"))
	for _, c := range []struct {
		name  string
		depth uint32
		want  string
	}{
		{"/private/a", 0, "[/private/a=1]"},
		{"/private/a", 1, "[/private/a=1 /private/a/b=2]"},
		{"/private/a", math.MaxUint32, "[/private/a=1 /private/a/b=2 /private/a/b/c=3]"},
		{"/private/a/b", 1, "[/private/a/b=2 /private/a/b/c=3]"},
		{"/private/none", 5, "[]"},
		{"/private", 0, "[]"},
		{"/private", 1, "[/private/a=1 /private/a-b=4 /private/ab=5]"},
		{"/shared", 1, "[]"},
		{"/shared", 2, "[/shared/a/b=6]"},
	} {
		if got := fmt.Sprint(m.annotations("INBOX", c.name, c.depth)); got != c.want {
			t.Errorf("%s to the depth of %d: %s, want %s", c.name, c.depth, got, c.want)
		}
	}
	m.check(alice)
}

func TestMetadataBounds_RFC5464_4_1(t *testing.T) {
	m := newMachine(t)
	m.ok(newAccount())
	m.ok(create("a"))
	refused := func(code pb.Code, e *pb.Entry) {
		t.Helper()
		before := m.inbox().a.ModSeq()
		if res := m.apply(e)[0]; res.GetCode() != code || m.inbox().a.ModSeq() != before {
			t.Errorf("%.200v: %v", e, res)
		}
		m.check(alice)
	}
	large := strings.Repeat("x", imapnum.MaxMetadataValue)
	m.ok(annotation("INBOX", "/private/large", large))
	refused(pb.Code_CODE_INVALID, annotation("INBOX", "/private/small", "x", "/private/large", large+"x"))
	refused(pb.Code_CODE_INVALID, annotation("INBOX", "/Private/small", "x"))
	refused(pb.Code_CODE_INVALID, annotation("INBOX", "/private/"+strings.Repeat("n", imapnum.MaxMetadataName), "x"))
	refused(pb.Code_CODE_INVALID, annotation("", "/private/small", "x", "/shared/comment", "x"))
	refused(pb.Code_CODE_NO_MAILBOX, annotation("b", "/private/small", "x"))
	refused(pb.Code_CODE_NO_MAILBOX, annotation("b//", "/private/small", "x"))
	if got := m.annotations("INBOX", "/private/small", 0); got != nil {
		t.Errorf("%v was set all the same", got)
	}

	// A mailbox has so many of each scope; one more is one too many, and another
	// value of one that is there is not more.
	full := annotation("INBOX")
	for i := range maxMetadataScope - 1 {
		full.GetSetMetadata().Entries = append(full.GetSetMetadata().Entries, &pb.MetadataEntry{Name: fmt.Sprintf("/private/%d", i), Value: []byte{}})
	}
	m.ok(full)
	refused(pb.Code_CODE_LIMIT, annotation("INBOX", "/private/0", "2", "/private/more", "x"))
	m.ok(annotation("INBOX", "/private/0", "2"))
	m.ok(annotation("INBOX", "/private/0", nil, "/private/more", "x"))
	m.ok(annotation("INBOX", "/shared/comment", "x"))
	m.ok(annotation("a", "/private/comment", "x"))
	m.check(alice)
}

// An account has so many octets of annotations. What would copy them, as
// renaming INBOX does, is bound by that too; deleting a mailbox makes room.
func TestMetadataOctetsOfAnAccount_RFC5464_7(t *testing.T) {
	m := newMachine(t)
	m.ok(newAccount())
	value := strings.Repeat("x", imapnum.MaxMetadataValue)
	set := func(mailbox string, i, size int) bool {
		return m.apply(annotation(mailbox, fmt.Sprint("/private/", i), value[:size]))[0].GetCode() == pb.Code_CODE_OK
	}
	n := 0
	for ; n < 200; n++ {
		if n%maxMetadataScope == 0 {
			m.ok(create(fmt.Sprint("box", n)))
		}
		if !set(fmt.Sprint("box", n-n%maxMetadataScope), n, len(value)) {
			break
		}
	}
	if n != maxMetadataOctets/len(value)-1 {
		t.Errorf("%d of the largest values", n)
	}
	for i := 0; set("INBOX", i, 1000); i++ {
	}
	rename := &pb.Entry{Account: alice, Op: &pb.Entry_RenameMailbox{RenameMailbox: &pb.RenameMailboxOp{From: "INBOX", To: "old"}}}
	if res := m.apply(proto.CloneOf(rename))[0]; res.GetCode() != pb.Code_CODE_LIMIT {
		t.Errorf("RENAME: %v", res)
	}
	m.check(alice)
	m.ok(&pb.Entry{Account: alice, Op: &pb.Entry_DeleteMailbox{DeleteMailbox: &pb.DeleteMailboxOp{Name: "box0"}}})
	m.ok(rename)
	m.check(alice)
	if got, want := m.annotations("old", "/private", 9), m.annotations("INBOX", "/private", 9); len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("the new mailbox has %d annotations, INBOX %d", len(got), len(want))
	}
}

// Private annotations of a mailbox are each actor's own; shared ones are all's.
func TestMetadataOfActors_RFC5464_3_2(t *testing.T) {
	const bob = "bob@example.org"
	m := newMachine(t)
	m.ok(newAccount())
	tx := newTx(m.f)
	defer tx.close()
	acct, err := tx.account(alice)
	if err != nil {
		t.Fatal(err)
	}
	for _, actor := range []string{"", bob} {
		acct.modSeq = 0
		op := annotation("INBOX", "/private/comment", "of "+actor, "/shared/comment", "last by "+actor).GetSetMetadata()
		if actor == "" {
			actor = alice // who is the owner, however she is named
		}
		if res, err := tx.setMetadata(acct, actor, op); err != nil || res.GetCode() != pb.Code_CODE_OK {
			t.Fatal(res, err)
		}
	}
	if res, err := tx.setMetadata(acct, strings.Repeat("b", 256), &pb.SetMetadataOp{}); err != nil || res.GetCode() != pb.Code_CODE_INVALID {
		t.Fatal(res, err)
	}
	if err := tx.commit(); err != nil {
		t.Fatal(err)
	}
	m.check(alice)
	a := m.inbox().a
	for actor, want := range map[string]string{
		"": "map[/private/comment:of  /shared/comment:last by " + bob + "]", bob: "map[/private/comment:of " + bob + " /shared/comment:last by " + bob + "]",
		alice: "map[/private/comment:of  /shared/comment:last by " + bob + "]",
		"eve": "map[/shared/comment:last by " + bob + "]",
	} {
		got, all := map[string]string{}, map[string]string{}
		for _, scope := range []string{"/private", "/shared"} {
			err := a.Metadata(1, actor, scope, 9, func(e *pb.MetadataEntry) (bool, error) {
				got[e.GetName()] = string(e.GetValue())
				return true, nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		err := a.AllMetadata(actor, func(_ imapnum.MailboxID, e *pb.MetadataEntry) (bool, error) {
			all[e.GetName()] = string(e.GetValue())
			return true, nil
		})
		if err != nil || fmt.Sprint(got) != want || !maps.Equal(got, all) {
			t.Errorf("%q sees %v and %v, %v", actor, got, all, err)
		}
	}
}

// Watches are told that annotations have changed, and only then.
func TestMetadataWakesWatches(t *testing.T) {
	m := newMachine(t)
	var seen []string
	m.f.cfg.OnChange = func(c Change) { seen = append(seen, fmt.Sprint(uint64(c.ModSeq), c.Metadata)) }
	m.ok(newAccount())
	m.ok(annotation("INBOX", "/private/comment", "x"))
	m.ok(annotation("INBOX", "/private/comment", "x"))
	m.ok(annotation("INBOX", "/private/none", nil))
	m.ok(m.mail("INBOX"))
	m.ok(annotation("INBOX", "/private/comment", nil))
	if got := strings.Join(seen, ","); got != "1 false,2 true,3 false,4 true" {
		t.Errorf("told %s", got)
	}
}

// The special use of a mailbox and its annotation are one (RFC 6154, 4).
func TestSpecialUseAnnotation_RFC6154_4(t *testing.T) {
	m := newMachine(t)
	m.ok(newAccount())
	box := create("a")
	box.GetCreateMailbox().SpecialUse = `\sent`
	m.ok(box)
	m.ok(create("b"))
	use := func(mailbox, want string) {
		t.Helper()
		m.check(alice)
		box, err := m.inbox().a.MailboxByName(mailbox)
		if err != nil || box.Info().GetSpecialUse() != want {
			t.Errorf("special use of %s is %q, %v; want %q", mailbox, box.Info().GetSpecialUse(), err, want)
		}
		list := m.annotations(mailbox, specialUseEntry, 0)
		if want == "" && list != nil || want != "" && fmt.Sprint(list) != "["+specialUseEntry+"="+want+"]" {
			t.Errorf("annotations of %s: %v, want %q", mailbox, list, want)
		}
	}
	use("a", `\Sent`)
	for _, e := range []*pb.Entry{
		annotation("b", "/private/comment", "x", specialUseEntry, `\Sent`),
		annotation("b", specialUseEntry, `\All`), annotation("b", specialUseEntry, `Sent`), annotation("b", specialUseEntry, `\Drafts \Junk`),
	} {
		if res := m.apply(e)[0]; res.GetCode() != pb.Code_CODE_USE_ATTR {
			t.Errorf("%v: %v", e, res)
		}
	}
	use("b", "")
	m.ok(annotation("a", specialUseEntry, `\SENT`))
	use("a", `\Sent`)
	m.ok(annotation("a", specialUseEntry, ""))
	use("a", "")
	m.ok(annotation("b", specialUseEntry, `\sent`))
	use("b", `\Sent`)
	m.ok(annotation("INBOX", specialUseEntry, `\Archive`, "/private/comment", "x"))
	m.ok(&pb.Entry{Account: alice, Op: &pb.Entry_RenameMailbox{RenameMailbox: &pb.RenameMailboxOp{From: "INBOX", To: "c"}}})
	use("INBOX", `\Archive`)
	use("c", "")
	m.ok(&pb.Entry{Account: alice, Op: &pb.Entry_RenameMailbox{RenameMailbox: &pb.RenameMailboxOp{From: "b", To: "d"}}})
	use("d", `\Sent`)
	m.ok(&pb.Entry{Account: alice, Op: &pb.Entry_DeleteMailbox{DeleteMailbox: &pb.DeleteMailboxOp{Name: "d"}}})
	m.ok(annotation("a", specialUseEntry, `\Sent`))
	use("a", `\Sent`)
	// Of the account itself it is an annotation as any other.
	m.ok(annotation("", specialUseEntry, "x"))
	m.check(alice)
}

// The time at which a message came into its mailbox is the entry's, also of a
// copy, and nothing that is done to the message changes it.
func TestSaveDate_RFC8514_3(t *testing.T) {
	m := newMachine(t)
	m.ok(newAccount())
	m.ok(create("a"))
	saved := func(mailbox string) (list []int64) {
		t.Helper()
		box, err := m.inbox().a.MailboxByName(mailbox)
		if err != nil {
			t.Fatal(err)
		}
		err = box.Messages(imapnum.SetOfRange(1, 100), func(msg *pb.FetchedMessage) (bool, error) {
			list = append(list, msg.GetSaveDate())
			return true, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	at := func(seconds int64, e *pb.Entry) {
		t.Helper()
		e.Time = seconds * 1e9
		m.ok(e)
	}
	transfer := func(uid imapnum.UID, to string, move bool) *pb.Entry {
		return &pb.Entry{Account: alice, Op: &pb.Entry_Copy{Copy: &pb.CopyOp{MailboxId: 1, Uids: set(uid), Destination: to, Move: move}}}
	}
	at(100, m.mail("INBOX"))
	at(200, m.mail("INBOX"))
	at(300, store(pb.StoreOp_MODE_ADD, set(1), `\Seen`))
	at(400, transfer(1, "a", false))
	at(500, transfer(2, "a", true))
	at(600, transfer(1, "INBOX", false))
	at(700, &pb.Entry{Account: alice, Op: &pb.Entry_RenameMailbox{RenameMailbox: &pb.RenameMailboxOp{From: "a", To: "b"}}})
	if got := fmt.Sprint(saved("INBOX"), saved("b")); got != "[100 600] [400 500]" {
		t.Errorf("saved at %s", got)
	}
	at(800, &pb.Entry{Account: alice, Op: &pb.Entry_RenameMailbox{RenameMailbox: &pb.RenameMailboxOp{From: "INBOX", To: "c"}}})
	if got := fmt.Sprint(saved("c")); got != "[800 800]" {
		t.Errorf("moved out of INBOX at %s", got)
	}
}

// RFC 7162, 3.2: a mailbox whose annotations change gets a mod-sequence, and another
// none; setting what is set changes nothing.
func TestMetadataRaisesModSeq_RFC7162_3_2(t *testing.T) {
	m := newMachine(t)
	m.ok(newAccount())
	m.ok(create("a"))
	at := func() (modSeqs [2]uint64) {
		v, err := m.f.View()
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		a, err := v.Account(alice)
		if err != nil {
			t.Fatal(err)
		}
		for i, name := range []string{"INBOX", "a"} {
			box, err := a.MailboxByName(name)
			if err != nil {
				t.Fatal(err)
			}
			modSeqs[i] = box.Info().GetHighestModSeq()
		}
		return modSeqs
	}
	before := at()
	m.ok(annotation("a", "/private/comment", "x"))
	after := at()
	if after[0] != before[0] || after[1] <= before[1] {
		t.Errorf("HIGHESTMODSEQ %v, and then %v", before, after)
	}
	m.ok(annotation("a", "/private/comment", "x"))
	if again := at(); again != after {
		t.Errorf("the same again: %v, and then %v", after, again)
	}
}
