package raftfsm

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/model"
)

// pair is the state machine and the model, driven with the same history.
type pair struct {
	*rapid.T
	m     *machine
	model *model.Account
	log   []Command // all that was applied
	seq   uint64
	last  *pb.Entry // of the session, to be repeated
	res   *pb.Result
	// hashes is the keyspace's hash at each applied index: what a crash leaves
	// must be one of them.
	hashes map[uint64]string
	// shortened are the mailboxes whose expunge queue a compaction has touched.
	// The others' answers must be exact.
	shortened map[uint64]bool
	delivered []*pb.Entry
	over      model.Resource // for which the step's last request was refused
	shared    bool           // much of it is, with others
	names     []string       // from which mailboxes are drawn: few make long histories
}

var session = []byte("0123456789abcdef")

// do applies an entry under the session's next request id.
func (p *pair) do(e *pb.Entry) *pb.Result {
	p.seq++
	e.Account, e.Actor, e.Version = alice, p.model.Actor, EntryVersion
	e.Request = &pb.RequestId{Session: session, Sequence: p.seq}
	p.m.time += 1e9
	e.Time = p.m.time
	p.last = e
	p.res = p.apply(e)
	p.refusedFor(p.res)
	p.refusedAlike()
	return p.res
}

func (p *pair) apply(e *pb.Entry) *pb.Result {
	data, err := proto.Marshal(&pb.EntryBatch{Entries: []*pb.Entry{e}})
	if err != nil {
		p.Fatal(err)
	}
	p.m.index++
	cmd := Command{Index: p.m.index, Term: 1, Data: data}
	p.log = append(p.log, cmd)
	res, err := p.m.f.ApplyBatch([]Command{cmd})
	if err != nil {
		p.Fatal(err)
	}
	p.hashes[p.m.index] = p.m.f.hashForTest(p)
	return res[0][0]
}

var (
	someNames = []string{"INBOX", "a", "a/b", "a/b/c", "a/b/b", "b", "ä"}
	someFlags = []string{`\Seen`, `\Deleted`, `\Flagged`, "$Junk", "word", "WORD", "x", "y"}
)

func (p *pair) name() string { return rapid.SampledFrom(p.names).Draw(p.T, "name") }

func (p *pair) flags() []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(someFlags), 0, 3, rapid.ID).Draw(p.T, "flags")
}

// mailbox draws a mailbox that exists, by name.
func (p *pair) mailbox() (string, *model.Mailbox) {
	name := rapid.SampledFrom(slices.Sorted(maps.Keys(p.model.Mailboxes))).Draw(p.T, "mailbox")
	return name, p.model.Mailboxes[name]
}

func (p *pair) uids(m *model.Mailbox) []uint32 {
	return rapid.SliceOfNDistinct(rapid.Uint32Range(1, m.UIDNext+1), 0, 6, rapid.ID).Draw(p.T, "uids")
}

func uidSet(uids []uint32) *pb.UidSet {
	var list []imapnum.UID
	for _, u := range uids {
		list = append(list, imapnum.UID(u))
	}
	return set(list...)
}

func numbers(s *pb.UidSet) []uint32 {
	u, err := imapnum.Unpack(s.GetPacked())
	if err != nil {
		return []uint32{0}
	}
	var list []uint32
	for uid := range u.All() {
		list = append(list, uint32(uid))
	}
	return list
}

func (p *pair) equal(what string, got, want any) {
	p.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		p.Fatalf("%s: the state machine says %s, the model %s", what, g, w)
	}
}

// step does one random thing to both and compares the results.
func (p *pair) step() {
	p.model.Over, p.over = "", ""
	p.act()
	p.equal("over quota", p.over, p.model.Over)
}

func (p *pair) act() {
	ok := pb.Code_CODE_OK
	steps := []string{"append", "append", "append", "replace", "store", "store", "expunge", "churn", "churn", "copy", "copy", "create", "delete", "rename", "subscribe", "grant", "grant", "share", "claim", "claim", "meddle", "repeat", "deliver again", "garbage", "annotate", "annotate", "compact", "compact", "collect", "limit", "limit"}
	if p.shared && rapid.Bool().Draw(p.T, "by rights") {
		steps = byRights
	}
	step := rapid.SampledFrom(steps).Draw(p.T, "step")
	p.actFor(step)
	switch step {
	case "append":
		name, flags := p.name(), p.flags()
		e := p.m.mail(name, flags...)
		for range rapid.IntRange(0, 2).Draw(p.T, "more messages") {
			op := e.GetAppend()
			op.Messages = append(op.Messages, p.m.mail(name, flags...).GetAppend().GetMessages()...)
		}
		var ids []string
		for _, msg := range e.GetAppend().GetMessages() {
			id := string(msg.GetEmail().GetBodyId())
			ids = append(ids, id)
			p.model.IDs[id] = p.messageIDs(msg.GetEmail())
			p.pad(msg)
			p.model.Sizes[id] = msg.GetEmail().GetSize()
			if p.model.MayStage() && rapid.Bool().Draw(p.T, "staged") {
				p.stage(msg)
			}
			if p.model.MayStage() && rapid.IntRange(0, 3).Draw(p.T, "email staged") == 0 {
				p.stageEmail(msg)
			}
		}
		if p.model.Actor == "" && rapid.Bool().Draw(p.T, "delivery") {
			e.GetAppend().DeliveryId = fmt.Appendf(nil, "%032d", p.m.body)
		}
		want := p.model.Append(name, flags, ids...)
		res := p.do(e)
		if want != nil && e.GetAppend().GetDeliveryId() != nil {
			p.delivered = append(p.delivered, proto.CloneOf(e))
		}
		p.equal("append", numbers(res.GetUids()), want)
		p.equal("append code", res.GetCode() == ok, want != nil)
	case "replace":
		_, m := p.mailbox()
		uid := rapid.Uint32Range(1, m.UIDNext).Draw(p.T, "uid")
		name, flags := p.name(), p.flags()
		op := p.m.mail(name, flags...).GetAppend()
		id := string(op.GetMessages()[0].GetEmail().GetBodyId())
		p.model.IDs[id] = p.messageIDs(op.GetMessages()[0].GetEmail())
		p.pad(op.GetMessages()[0])
		p.model.Sizes[id] = op.GetMessages()[0].GetEmail().GetSize()
		if p.model.MayStage() && rapid.Bool().Draw(p.T, "staged") {
			p.stage(op.GetMessages()[0])
		}
		var into, gone []uint32
		if now := p.model.Replace(m, uid, name, flags, id); now != 0 {
			into, gone = []uint32{now}, []uint32{uid}
		}
		res := p.do(&pb.Entry{Op: &pb.Entry_Replace{Replace: &pb.ReplaceOp{Append: op, MailboxId: m.ID, Uid: uid}}})
		p.equal("replaced", []any{res.GetCode() == ok, numbers(res.GetSourceUids()), numbers(res.GetUids())}, []any{into != nil, gone, into})
	case "store":
		_, m := p.mailbox()
		uids, flags := p.uids(m), p.flags()
		mode := rapid.SampledFrom([]string{"replace", "add", "remove"}).Draw(p.T, "mode")
		op := &pb.StoreOp{MailboxId: m.ID, Uids: uidSet(uids), Flags: flags, Mode: map[string]pb.StoreOp_Mode{
			"replace": pb.StoreOp_MODE_REPLACE, "add": pb.StoreOp_MODE_ADD, "remove": pb.StoreOp_MODE_REMOVE,
		}[mode]}
		if rapid.Bool().Draw(p.T, "conditional") {
			since := rapid.Uint64Range(0, p.model.ModSeq).Draw(p.T, "unchanged since")
			op.UnchangedSince = &since
		}
		known := rapid.Uint64Range(0, p.model.ModSeq).Draw(p.T, "known")
		op.KnownModSeq = &known
		before := m.HighestModSeq
		changed, left, overtaken := p.model.Store(m, uids, mode, flags, op.UnchangedSince, known)
		res := p.do(&pb.Entry{Op: &pb.Entry_Store{Store: op}})
		p.equal("stored", numbers(res.GetUids()), changed)
		p.equal("modified", numbers(res.GetSourceUids()), left)
		p.equal("overtaken", numbers(res.GetOvertaken()), overtaken)
		if p.model.Refused != "" {
			return
		}
		p.equal("before", res.GetBeforeModSeq(), before)
		var states, want []string
		for _, s := range res.GetStates() {
			states = append(states, fmt.Sprint(s.GetUid(), s.GetModSeq(), s.GetSystemFlags()&uint32(imapnum.FlagSeen) != 0, len(s.GetKeywords())))
		}
		for _, msg := range m.Messages {
			if slices.Contains(uids, msg.UID) && !slices.Contains(left, msg.UID) {
				words := slices.DeleteFunc(slices.Clone(msg.Flags), func(f string) bool { return f[0] == '\\' })
				want = append(want, fmt.Sprint(msg.UID, msg.ModSeq, slices.Contains(msg.Flags, `\Seen`), len(words)))
			}
		}
		p.equal("states", states, want)
	case "expunge":
		_, m := p.mailbox()
		op := &pb.ExpungeOp{MailboxId: m.ID}
		var only []uint32
		if rapid.Bool().Draw(p.T, "uid expunge") {
			only = append([]uint32{}, p.uids(m)...)
			op.Uids = uidSet(only)
			op.UndeletedToo = rapid.Bool().Draw(p.T, "undeleted too")
		}
		var want []uint32
		if op.GetUndeletedToo() {
			want = p.model.Remove(m, only)
		} else {
			want = p.model.Expunge(m, only)
		}
		res := p.do(&pb.Entry{Op: &pb.Entry_Expunge{Expunge: op}})
		p.equal("expunged", numbers(res.GetUids()), want)
	case "churn":
		// A record in the expunge queue is what three steps in a row make; left to
		// chance, no queue would ever be long.
		name, m := p.mailbox()
		e := p.m.mail(name, `\Deleted`)
		id := string(e.GetAppend().GetMessages()[0].GetEmail().GetBodyId())
		p.model.Sizes[id] = e.GetAppend().GetMessages()[0].GetEmail().GetSize()
		p.equal("append", numbers(p.do(e).GetUids()), p.model.Append(name, []string{`\Deleted`}, id))
		want := p.model.Expunge(m, nil)
		res := p.do(&pb.Entry{Op: &pb.Entry_Expunge{Expunge: &pb.ExpungeOp{MailboxId: m.ID}}})
		p.equal("expunged", numbers(res.GetUids()), want)
	case "copy":
		_, m := p.mailbox()
		uids, to, move := p.uids(m), p.name(), rapid.Bool().Draw(p.T, "move")
		from, into, exists := p.model.Copy(m, uids, to, move)
		res := p.do(&pb.Entry{Op: &pb.Entry_Copy{Copy: &pb.CopyOp{MailboxId: m.ID, Uids: uidSet(uids), Destination: to, Move: move}}})
		p.equal("copy", []any{res.GetCode() == ok, numbers(res.GetSourceUids()), numbers(res.GetUids())}, []any{exists, from, into})
	case "create":
		name := p.name()
		res := p.do(create(name))
		p.equal("create", res.GetCode() == ok, p.model.Create(name, 5))
	case "delete":
		name := p.name()
		res := p.do(&pb.Entry{Op: &pb.Entry_DeleteMailbox{DeleteMailbox: &pb.DeleteMailboxOp{Name: name}}})
		p.equal("delete", res.GetCode() == ok, p.model.Delete(name))
	case "rename":
		from, to := p.name(), p.name()
		res := p.do(&pb.Entry{Op: &pb.Entry_RenameMailbox{RenameMailbox: &pb.RenameMailboxOp{From: from, To: to, UidValiditySeed: 5}}})
		p.equal("rename", res.GetCode() == ok, p.model.Rename(from, to, 5))
	case "subscribe":
		name, on := p.name(), rapid.Bool().Draw(p.T, "on")
		p.model.Subscribe(name, on)
		p.do(&pb.Entry{Op: &pb.Entry_Subscribe{Subscribe: &pb.SubscribeOp{Name: name, Subscribed: on}}})
	case "repeat":
		if p.last == nil {
			return
		}
		again := p.apply(p.last)
		if !again.GetRepeated() {
			p.Fatalf("%v was done again: %v", p.last, again)
		}
		first := proto.CloneOf(p.res)
		first.States, first.BeforeModSeq = nil, 0
		again.Repeated = first.GetRepeated()
		if !proto.Equal(again, first) {
			p.Fatalf("repeated: %v, first: %v", again, p.res)
		}
		if p.seq > 1 {
			stale := proto.CloneOf(p.last)
			stale.Request.Sequence--
			p.equal("stale", p.apply(stale).GetCode(), pb.Code_CODE_STALE_REQUEST)
		}
	case "deliver again":
		if len(p.delivered) == 0 {
			return
		}
		e := rapid.SampledFrom(p.delivered).Draw(p.T, "delivery")
		if res := p.do(proto.CloneOf(e)); !res.GetRepeated() || res.GetCode() != ok {
			p.Fatalf("%v was delivered again: %v", e, res)
		}
	case "garbage":
		p.m.index++
		cmd := Command{Index: p.m.index, Term: 1, Data: rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(p.T, "garbage")}
		p.log = append(p.log, cmd)
		if _, err := p.m.f.ApplyBatch([]Command{cmd}); err != nil {
			p.Fatal(err)
		}
		p.hashes[p.m.index] = p.m.f.hashForTest(p)
	case "annotate":
		p.annotate()
	case "limit":
		p.limit()
	case "grant":
		p.grant()
	case "share":
		owner, on := rapid.SampledFrom([]string{bob, carol}).Draw(p.T, "owner"), rapid.Bool().Draw(p.T, "on")
		p.model.Share(owner, on)
		p.do(&pb.Entry{Op: &pb.Entry_NoteShare{NoteShare: &pb.NoteShareOp{Owner: owner, Shared: on}}})
	case "meddle":
		p.meddle()
	case "compact":
		_, m := p.mailbox()
		p.shortened[m.ID] = true
		p.do(&pb.Entry{Op: &pb.Entry_CompactQueue{CompactQueue: &pb.CompactQueueOp{
			MailboxId: m.ID, NewFloor: rapid.Uint64Range(0, p.model.ModSeq).Draw(p.T, "floor"), Limit: rapid.Uint32Range(0, 5).Draw(p.T, "limit"),
			MaxRanges: rapid.Uint32Range(0, 3).Draw(p.T, "most ranges"),
		}}})
	case "claim":
		_, m := p.mailbox()
		want := p.model.ClaimRecent(m)
		res := p.do(&pb.Entry{Op: &pb.Entry_ClaimRecent{ClaimRecent: &pb.ClaimRecentOp{MailboxId: m.ID}}})
		p.equal("claimed", numbers(res.GetUids()), want)
	case "collect":
		before := p.m.time - rapid.Int64Range(0, 20e9).Draw(p.T, "age")
		p.do(&pb.Entry{Op: &pb.Entry_Collect{Collect: &pb.CollectOp{
			BodiesBefore: before, UploadsBefore: before, Limit: rapid.Uint32Range(0, 10).Draw(p.T, "limit"),
		}}})
		p.collected()
	}
}

// stage puts a message's body into the store by chunks of its own, in any order,
// some of them twice.
func (p *pair) stage(msg *pb.AppendMessage) {
	text := msg.GetInline()[0].GetData()
	msg.Inline = nil
	p.upload(msg.GetEmail().GetBodyId(), text)
}

// stageEmail does so with a message's content record.
func (p *pair) stageEmail(msg *pb.AppendMessage) {
	record, err := proto.Marshal(msg.GetEmail())
	if err != nil {
		p.Fatal(err)
	}
	msg.EmailUpload = append([]byte("record-of-"), msg.GetEmail().GetBodyId()[10:]...)
	msg.Email = nil
	p.upload(msg.GetEmailUpload(), record)
}

func (p *pair) upload(id, text []byte) {
	var chunks []*pb.BodyChunk
	for at := 0; at < len(text); {
		n := rapid.IntRange(1, len(text)-at).Draw(p.T, "octets")
		chunks = append(chunks, &pb.BodyChunk{Offset: uint64(at), RawSize: uint32(n), Codec: pb.Codec_CODEC_RAW, Data: text[at : at+n]})
		at += n
	}
	chunks = append(chunks, chunks[0])
	for _, c := range rapid.Permutation(chunks).Draw(p.T, "order") {
		res := p.do(&pb.Entry{Op: &pb.Entry_PutChunk{PutChunk: &pb.PutChunkOp{BodyId: id, Chunk: c}}})
		if res.GetCode() != pb.Code_CODE_OK {
			p.Fatalf("chunk at %d: %v", c.GetOffset(), res)
		}
	}
}

// compare looks at everything that can be observed.
func (p *pair) compare() {
	if err := p.m.f.Check(alice); err != nil {
		p.Fatal(err)
	}
	v, err := p.m.f.View()
	if err != nil {
		p.Fatal(err)
	}
	defer func() { _ = v.Close() }()
	a, err := v.Account(alice)
	if err != nil {
		p.Fatal(err)
	}
	p.equal("account's modseq", a.ModSeq(), p.model.ModSeq)
	infos, subscriptions, err := a.Mailboxes()
	if err != nil {
		p.Fatal(err)
	}
	var names []string
	for _, i := range infos {
		names = append(names, i.GetName())
	}
	slices.Sort(names)
	p.equal("mailboxes", names, slices.Sorted(maps.Keys(p.model.Mailboxes)))
	p.equal("subscriptions", subscriptions, slices.Sorted(maps.Keys(p.model.Subscribed)))
	p.compareShares(a)
	for name, want := range p.model.Mailboxes {
		box, err := a.MailboxByName(name)
		if err != nil {
			p.Fatal(err)
		}
		p.compareMailbox(name, box, want)
	}
	p.compareMetadata(a)
	p.compareQuota(a)
}

func (p *pair) compareMailbox(name string, box *Mailbox, want *model.Mailbox) {
	i := box.Info()
	p.equal(name, []any{i.GetId(), i.GetUidValidity(), i.GetUidNext(), i.GetHighestModSeq(), i.GetExists()},
		[]any{want.ID, want.UIDValidity, want.UIDNext, want.HighestModSeq, len(want.Messages)})
	recent := i.GetRecent()
	if i.GetRecentUid() == 0 {
		recent = i.GetExists()
	}
	p.equal(name+": recent", int(recent), want.Recent())
	show := func(msgs []model.Message) (list []string) {
		for _, m := range msgs {
			list = append(list, fmt.Sprint(m.UID, m.ModSeq, m.Flags))
		}
		return list
	}
	spell := func(s *pb.MessageState) string {
		flags := imapnum.SystemFlags(s.GetSystemFlags()).Names()
		for _, k := range s.GetKeywords() {
			flags = append(flags, i.GetKeywords()[k])
		}
		slices.Sort(flags)
		return fmt.Sprint(s.GetUid(), s.GetModSeq(), flags)
	}
	var bodies, wantBodies []string
	err := box.Messages(imapnum.SetOfRange(1, 1<<32-1), func(m *pb.FetchedMessage) (bool, error) {
		e, err := box.a.Email(m.GetEmailId())
		bodies = append(bodies, fmt.Sprint(string(e.GetBodyId()), " of thread ", m.GetThreadId()))
		return true, err
	})
	if err != nil {
		p.Fatal(err)
	}
	for _, m := range want.Messages {
		wantBodies = append(wantBodies, fmt.Sprint(m.Body, " of thread ", p.model.ThreadOf(m.Body)))
	}
	p.equal(name+": bodies", bodies, wantBodies)
	var here []uint32
	unseen, deleted := 0, 0
	for _, m := range want.Messages {
		here = append(here, m.UID)
		if !slices.Contains(m.Flags, `\Seen`) {
			unseen++
		}
		if slices.Contains(m.Flags, `\Deleted`) {
			deleted++
		}
	}
	p.equal(name+": counts", []any{i.GetUnseen(), i.GetDeleted()}, []any{unseen, deleted})
	uids, err := box.UIDs()
	if err != nil {
		p.Fatal(err)
	}
	p.equal(name+": UIDs", numbers(packed(uids)), here)
	p.compareFlags(name, box, want)
	p.compareRights(name, box, want)
	for since := uint64(0); since <= p.model.ModSeq; since++ {
		var changed []string
		vanished, err := box.Changes(Since{ModSeq: imapnum.ModSeq(since)}, func(s *pb.MessageState) error {
			changed = append(changed, spell(s))
			return nil
		})
		if err != nil {
			p.Fatal(err)
		}
		p.equal(fmt.Sprint(name, ": changed since ", since), changed, show(want.Changed(since)))
		// What vanished may name more than was expunged since, but nothing that is
		// there and nothing that never was; as long as the queue has not been
		// shortened it is exact.
		got := numbers(packed(vanished))
		if !p.shortened[want.ID] {
			p.equal(fmt.Sprint(name, ": vanished since ", since), got, want.Vanished(since))
		}
		for _, uid := range want.Vanished(since) {
			if !slices.Contains(got, uid) {
				p.Fatalf("%s: since %d: %d is not told to have vanished: %v", name, since, uid, got)
			}
		}
		for _, uid := range got {
			if slices.Contains(here, uid) || uid == 0 || uid >= want.UIDNext {
				p.Fatalf("%s: since %d: %d is told to have vanished", name, since, uid)
			}
		}
		p.resync(box, want, since)
	}
}

// compareFlags checks the sets of messages that have each flag.
func (p *pair) compareFlags(name string, box *Mailbox, want *model.Mailbox) {
	flagged := make(map[string][]uint32)
	for _, m := range want.Messages {
		for _, f := range m.Flags {
			flagged[f] = append(flagged[f], m.UID)
		}
	}
	sets, err := box.FlagSets(imapnum.SetOfRange(1, 1<<32-1))
	if err != nil {
		p.Fatal(err)
	}
	got := make(map[string][]uint32)
	note := func(flag string, set imapnum.Set) {
		if !set.Empty() {
			got[flag] = numbers(packed(set))
		}
	}
	for i, set := range sets.System {
		note(imapnum.SystemFlags(1 << i).Names()[0], set)
	}
	for i, set := range sets.Keywords {
		note(box.Info().GetKeywords()[i], set)
	}
	p.equal(name+": flags", got, flagged)
}

// resync checks a client that was here at since and knows some of the messages
// that there were: with what it is told it must know those of them that are
// left, and no others.
func (p *pair) resync(box *Mailbox, want *model.Mailbox, since uint64) {
	var cached, left []imapnum.UID
	for uid := imapnum.UID(1); uid < imapnum.UID(want.UIDNext); uid += 1 + imapnum.UID(since%2) {
		if at, gone := want.Gone[uint32(uid)]; gone && at <= since {
			continue // expunged before: the client knew that
		}
		cached = append(cached, uid)
		if _, gone := want.Gone[uint32(uid)]; !gone {
			left = append(left, uid)
		}
	}
	known := imapnum.SetOf(cached...)
	vanished, err := box.Changes(Since{ModSeq: imapnum.ModSeq(since), Known: &known, NoChanged: true}, nil)
	if err != nil {
		p.Fatal(err)
	}
	if rest := known.Subtract(vanished); !rest.Equal(imapnum.SetOf(left...)) {
		p.Fatalf("a client that knew %v at %d is left with %v, there are %v", known, since, rest, left)
	}
	if extra := vanished.Subtract(known); !extra.Empty() {
		p.Fatalf("told of %v, which the client did not name", extra)
	}
}

func (f *FSM) hashForTest(t interface{ Fatal(...any) }) string {
	v, err := f.View()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = v.Close() }()
	d, err := v.Digests(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x of %d", d.Sum, d.Keys)
}

// Random histories: the state machine does what the model does, whatever is
// observed; another replica with other batches, and one that was brought up by
// an export, hold the same keyspace; a crash loses nothing that replay does not
// bring back.
func TestEqualsModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := &pair{T: rt, m: newMachine(t), model: newModel(), hashes: map[uint64]string{}, shortened: map[uint64]bool{}, names: someNames}
		if rapid.Bool().Draw(rt, "few mailboxes") {
			p.names = someNames[:2]
		}
		defer func() { p.m.close() }()
		p.do(newAccount())
		if rapid.Bool().Draw(rt, "shared") {
			p.share()
		}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			p.step()
			switch rapid.IntRange(0, 12).Draw(rt, "restart") {
			case 0:
				p.crash()
			case 1:
				p.m.restart()
			}
		}
		p.compare()
		p.otherReplicas(t)
	})
}
