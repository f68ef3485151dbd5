package raftfsm

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// transcript runs the commands of one file. Each that is a log entry has a
// request id of its own; "again" applies the entry before once more.
type transcript struct {
	*machine
	log      []Command
	sequence uint64
	last     *pb.Entry
	acct     *Account // before the command; nil if there is none
}

// Transcripts say in IMAP's words what the state machine does. With -rewrite
// they are written anew: commit only what you understand.
func TestTranscripts(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("testdata", "*.fsm"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			x := &transcript{machine: newMachine(t)}
			runScript(t, path, func(c *command) string {
				out := x.run(c)
				if x.look(func() {}); x.acct != nil {
					x.check(alice) // after every step, whatever it was
				}
				return out
			})
		})
	}
}

// look calls fn with the account as it is now in acct.
func (x *transcript) look(fn func()) {
	v, err := x.f.View()
	if err != nil {
		x.t.Fatal(err)
	}
	defer func() { _ = v.Close() }()
	x.acct, err = v.Account(alice)
	if err != nil && !errors.Is(err, ErrNoAccount) {
		x.t.Fatal(err)
	}
	fn()
}

// uids reads a set in IMAP's notation; nil if there is none.
func (c *command) uids(key string) *imapnum.Set {
	c.t.Helper()
	list, ok := c.args[key]
	if !ok {
		return nil
	}
	var b imapnum.SetBuilder
	for part := range strings.SplitSeq(list, ",") {
		var first, last uint32
		switch n, _ := fmt.Sscanf(part, "%d:%d", &first, &last); n {
		case 1:
			last = first
		case 0:
			c.fatalf("%s: %q is no UID", key, part)
		}
		b.AddRange(imapnum.UID(first), imapnum.UID(last))
	}
	set := b.Set()
	return &set
}

func (x *transcript) run(c *command) (out string) {
	switch c.name {
	case "again":
		return x.apply(x.last)
	case "restart", "crash", "export-import":
		return x.leap(c.name) // closes the store, so no view may be open
	}
	x.look(func() {
		switch c.name {
		case "list":
			out = x.list()
		case "status":
			out = x.status(x.box(c))
		case "recent":
			i := x.box(c).Info()
			out = fmt.Sprintf("from UID %d on: %d\n", i.GetRecentUid(), i.GetRecent())
		case "messages":
			out = x.messages(x.box(c).Messages)
		case "retained":
			out = x.messages(x.box(c).Retained)
		case "changes":
			out = x.changes(c)
		case "annotations":
			out = x.annotations()
		case "quota":
			out = quotaLine(x.acct.Quota())
		case "rights":
			out = x.rights(x.box(c))
		default:
			out = x.apply(x.request(c))
		}
	})
	return out
}

// request is the next of the session.
func (x *transcript) request(c *command) *pb.Entry {
	x.sequence = uint64(c.number("sequence", int64(x.sequence)+1))
	x.time += 1e9
	e := x.entry(c)
	e.Version, e.Account, e.Actor, e.Time = EntryVersion, alice, c.arg("actor", ""), x.time
	e.Request = &pb.RequestId{Session: session, Sequence: x.sequence}
	x.last = e
	return e
}

// entry makes the log entry of a command.
func (x *transcript) entry(c *command) *pb.Entry {
	text := func(key string) string { return c.arg(key, "") }
	flags := strings.Fields(text("flags"))
	seed := uint32(c.number("seed", 7))
	set := func() *pb.UidSet {
		if s := c.uids("uids"); s != nil {
			return packed(*s)
		}
		return nil
	}
	id := func() uint64 {
		if c.args["id"] != "" {
			return uint64(c.number("id", 0))
		}
		return uint64(x.box(c).id)
	}
	switch c.name {
	case "create-account":
		return &pb.Entry{Op: &pb.Entry_CreateAccount{CreateAccount: &pb.CreateAccountOp{UidValiditySeed: seed, Quota: c.limits()}}}
	case "delete-account":
		return &pb.Entry{Op: &pb.Entry_DeleteAccount{DeleteAccount: &pb.DeleteAccountOp{}}}
	case "create":
		return &pb.Entry{Op: &pb.Entry_CreateMailbox{CreateMailbox: &pb.CreateMailboxOp{Name: text("name"), UidValiditySeed: seed, SpecialUse: text("use")}}}
	case "delete":
		return &pb.Entry{Op: &pb.Entry_DeleteMailbox{DeleteMailbox: &pb.DeleteMailboxOp{Name: text("name")}}}
	case "rename":
		return &pb.Entry{Op: &pb.Entry_RenameMailbox{RenameMailbox: &pb.RenameMailboxOp{From: text("from"), To: text("to"), UidValiditySeed: seed}}}
	case "subscribe", "unsubscribe":
		return &pb.Entry{Op: &pb.Entry_Subscribe{Subscribe: &pb.SubscribeOp{Name: text("name"), Subscribed: c.name == "subscribe"}}}
	case "append":
		return x.appendEntry(c, flags, "box")
	case "put-email":
		record, err := proto.Marshal(&pb.Email{Size: uint64(c.number("size", 0)), BodyId: bodyID(text("body"))})
		if err != nil {
			c.fatalf("%v", err)
		}
		return &pb.Entry{Op: &pb.Entry_PutChunk{PutChunk: &pb.PutChunkOp{BodyId: bodyID(text("email")), Chunk: &pb.BodyChunk{
			RawSize: uint32(len(record)), Codec: pb.Codec_CODEC_RAW, Data: record,
		}}}}
	case "put":
		size := uint32(c.number("size", 1))
		return &pb.Entry{Op: &pb.Entry_PutChunk{PutChunk: &pb.PutChunkOp{BodyId: bodyID(text("body")), Chunk: &pb.BodyChunk{
			Offset: uint64(c.number("offset", 0)), RawSize: size, Codec: pb.Codec_CODEC_RAW, Data: bytes.Repeat([]byte(cmp.Or(text("octet"), "x")), int(size)),
		}}}}
	case "store":
		mode := map[string]pb.StoreOp_Mode{"replace": 1, "add": 2, "remove": 3}[c.arg("mode", "add")]
		op := &pb.StoreOp{MailboxId: id(), Uids: set(), Flags: flags, Mode: mode}
		if _, ok := c.args["unchangedsince"]; ok {
			op.UnchangedSince = proto.Uint64(uint64(c.number("unchangedsince", 0)))
		}
		return &pb.Entry{Op: &pb.Entry_Store{Store: op}}
	case "expunge":
		return &pb.Entry{Op: &pb.Entry_Expunge{Expunge: &pb.ExpungeOp{MailboxId: id(), Uids: set(), UndeletedToo: text("undeleted") != ""}}}
	case "copy", "move":
		return &pb.Entry{Op: &pb.Entry_Copy{Copy: &pb.CopyOp{MailboxId: id(), Uids: set(), Destination: text("to"), Move: c.name == "move"}}}
	case "replace":
		return &pb.Entry{Op: &pb.Entry_Replace{Replace: &pb.ReplaceOp{
			Append: x.appendEntry(c, flags, "to").GetAppend(), MailboxId: id(), Uid: uint32(c.number("uid", 0)),
		}}}
	case "annotate":
		op := &pb.SetMetadataOp{Mailbox: c.arg("box", "INBOX")}
		values := strings.Fields(text("values"))
		for i, name := range strings.Fields(text("names")) {
			e := &pb.MetadataEntry{Name: name}
			if values[i] != "NIL" {
				e.Value = []byte(values[i])
			}
			op.Entries = append(op.Entries, e)
		}
		return &pb.Entry{Op: &pb.Entry_SetMetadata{SetMetadata: op}}
	case "set-quota":
		op := &pb.SetQuotaOp{Limits: c.limits()}
		for _, name := range strings.Fields(text("only")) {
			op.Only = append(op.Only, pb.QuotaResource(pb.QuotaResource_value["QUOTA_RESOURCE_"+name]))
		}
		return &pb.Entry{Op: &pb.Entry_SetQuota{SetQuota: op}}
	case "grant":
		return grant(c.arg("box", "INBOX"), text("to"), text("rights"))
	case "note-share", "forget-share":
		return &pb.Entry{Op: &pb.Entry_NoteShare{NoteShare: &pb.NoteShareOp{Owner: text("owner"), Shared: c.name == "note-share"}}}
	case "claim-recent":
		return &pb.Entry{Op: &pb.Entry_ClaimRecent{ClaimRecent: &pb.ClaimRecentOp{MailboxId: id()}}}
	case "collect":
		before := c.number("before", x.time/1e9) * 1e9
		return &pb.Entry{Op: &pb.Entry_Collect{Collect: &pb.CollectOp{
			BodiesBefore: before, UploadsBefore: before, SessionsBefore: before, DeliveriesBefore: before, Limit: uint32(c.number("limit", 100)),
		}}}
	case "compact":
		return &pb.Entry{Op: &pb.Entry_CompactQueue{CompactQueue: &pb.CompactQueueOp{
			MailboxId: id(), NewFloor: uint64(c.number("floor", 0)), Limit: uint32(c.number("limit", 100)),
			MaxRanges: uint32(c.number("max-ranges", 0)),
		}}}
	}
	c.fatalf("unknown command %q", c.name)
	return nil
}

// bodyID makes a body id of a short name.
func bodyID(name string) []byte { return fmt.Appendf(nil, "%-16.16s", name) }

// appendEntry makes an append of n messages, or of one whose body was staged, to
// the mailbox that an argument names.
func (x *transcript) appendEntry(c *command, flags []string, into string) *pb.Entry {
	op := &pb.AppendOp{Mailbox: c.arg(into, "INBOX"), DeliveryId: []byte(c.arg("delivery", ""))}
	if name := c.arg("email", ""); name != "" {
		op.Messages = []*pb.AppendMessage{{Flags: flags, InternalDate: 100, EmailUpload: bodyID(name)}}
		return &pb.Entry{Op: &pb.Entry_Append{Append: op}}
	}
	if name := c.arg("body", ""); name != "" {
		op.Messages = []*pb.AppendMessage{{
			Flags: flags, InternalDate: 100, Email: &pb.Email{Size: uint64(c.number("size", 1)), BodyId: bodyID(name)},
		}}
		return &pb.Entry{Op: &pb.Entry_Append{Append: op}}
	}
	for range c.number("n", 1) {
		op.Messages = append(op.Messages, x.mail("", flags...).GetAppend().GetMessages()...)
	}
	for _, msg := range op.GetMessages() {
		msg.Email.Envelope = &pb.Envelope{MessageId: []byte(c.arg("message-id", ""))}
		msg.Email.References = strings.Fields(c.arg("references", ""))
	}
	return &pb.Entry{Op: &pb.Entry_Append{Append: op}}
}

// apply applies an entry and prints its result.
func (x *transcript) apply(e *pb.Entry) string {
	data, err := proto.Marshal(&pb.EntryBatch{Entries: []*pb.Entry{e}})
	if err != nil {
		x.t.Fatal(err)
	}
	x.index++
	cmd := Command{Index: x.index, Term: 1, Data: data}
	x.log = append(x.log, cmd)
	results, err := x.f.ApplyBatch([]Command{cmd})
	if err != nil {
		x.t.Fatal(err)
	}
	r := results[0][0]
	out := strings.TrimPrefix(r.GetCode().String(), "CODE_")
	add := func(is bool, format string, args ...any) {
		if is {
			out += " " + fmt.Sprintf(format, args...)
		}
	}
	show := func(s *pb.UidSet) string {
		set, err := imapnum.Unpack(s.GetPacked())
		if err != nil {
			x.t.Fatal(err)
		}
		return cmp.Or(set.String(), "none")
	}
	add(r.GetModSeq() != 0, "modseq=%d", r.GetModSeq())
	add(r.GetMailboxId() != 0, "id=%d", r.GetMailboxId())
	add(r.GetUidValidity() != 0, "uidvalidity=%d", r.GetUidValidity())
	add(r.GetSourceUids() != nil, "source=%s", show(r.GetSourceUids()))
	add(r.GetUids() != nil, "uids=%s", show(r.GetUids()))
	add(r.GetMore(), "more")
	add(r.GetRepeated(), "repeated")
	add(r.GetDetail() != "", "(%s)", r.GetDetail())
	return out
}

// box opens the mailbox of a command, INBOX without one.
func (x *transcript) box(c *command) *Mailbox {
	name := c.arg("box", "INBOX")
	box, err := x.acct.MailboxByName(name)
	if err != nil {
		c.fatalf("%s: %v", name, err)
	}
	return box
}

// rights shows the access control list and what comes of it for those in it.
func (x *transcript) rights(m *Mailbox) string {
	acl, err := m.ACL()
	if err != nil {
		x.t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range acl.GetEntries() {
		name := strings.TrimPrefix(e.GetIdentifier(), "-")
		have, err := m.Rights(name)
		if err != nil {
			x.t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %s (%s has %s)\n", e.GetIdentifier(), imapnum.Rights(e.GetRights()), name, cmp.Or(have.String(), "none"))
	}
	return cmp.Or(b.String(), "none\n")
}

func (x *transcript) list() string {
	infos, subscriptions, err := x.acct.Mailboxes()
	if err != nil {
		x.t.Fatal(err)
	}
	var b strings.Builder
	for _, i := range infos {
		fmt.Fprintf(&b, "%s id=%d uidvalidity=%d", i.GetName(), i.GetId(), i.GetUidValidity())
		if i.GetSpecialUse() != "" {
			fmt.Fprintf(&b, " %s", i.GetSpecialUse())
		}
		if i.GetSubscribed() {
			b.WriteString(` \Subscribed`)
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "subscriptions: %s\n", strings.Join(subscriptions, " "))
	return b.String()
}

func (x *transcript) status(m *Mailbox) string {
	i := m.Info()
	uids, err := m.UIDs()
	if err != nil {
		x.t.Fatal(err)
	}
	first, err := m.FirstUnseen()
	if err != nil {
		x.t.Fatal(err)
	}
	return fmt.Sprintf("messages=%d unseen=%d deleted=%d uidnext=%d highestmodseq=%d floor=%d\nuids %s, first unseen %d, keywords %v\n",
		i.GetExists(), i.GetUnseen(), i.GetDeleted(), i.GetUidNext(), i.GetHighestModSeq(), i.GetExpungeFloor(),
		cmp.Or(uids.String(), "none"), first, i.GetKeywords())
}

func stateLine(m *Mailbox, s *pb.MessageState) string {
	flags := imapnum.SystemFlags(s.GetSystemFlags()).Names()
	for _, k := range s.GetKeywords() {
		flags = append(flags, m.info.GetKeywords()[k])
	}
	return fmt.Sprintf("%d modseq=%d (%s)", s.GetUid(), s.GetModSeq(), strings.Join(flags, " "))
}

func (x *transcript) messages(read func(imapnum.Set, func(*pb.FetchedMessage) (bool, error)) error) string {
	var b strings.Builder
	err := read(imapnum.SetOfRange(1, math.MaxUint32), func(msg *pb.FetchedMessage) (bool, error) {
		s := msg.GetState()
		fmt.Fprintf(&b, "%d modseq=%d flags=%s email=%d saved=%d",
			s.GetUid(), s.GetModSeq(), imapnum.SystemFlags(s.GetSystemFlags()).Names(), msg.GetEmailId(), msg.GetSaveDate())
		if msg.GetThreadId() != msg.GetEmailId() {
			fmt.Fprintf(&b, " thread=%d", msg.GetThreadId())
		}
		b.WriteByte('\n')
		return true, nil
	})
	if err != nil {
		x.t.Fatal(err)
	}
	return cmp.Or(b.String(), "none\n")
}

func (x *transcript) changes(c *command) string {
	m := x.box(c)
	var b strings.Builder
	since := Since{ModSeq: imapnum.ModSeq(c.number("since", 0)), Known: c.uids("known")}
	vanished, err := m.Changes(since, func(s *pb.MessageState) error {
		fmt.Fprintf(&b, "changed %s\n", stateLine(m, s))
		return nil
	})
	if err != nil {
		x.t.Fatal(err)
	}
	if !vanished.Empty() {
		fmt.Fprintf(&b, "vanished %v\n", vanished)
	}
	return cmp.Or(b.String(), "nothing\n")
}

func (x *transcript) annotations() string {
	var b strings.Builder
	err := x.acct.AllMetadata("", func(id imapnum.MailboxID, e *pb.MetadataEntry) (bool, error) {
		fmt.Fprintf(&b, "id=%d %s modseq=%d %s\n", id, e.GetName(), e.GetModSeq(), e.GetValue())
		return true, nil
	})
	if err != nil {
		x.t.Fatal(err)
	}
	return cmp.Or(b.String(), "none\n")
}

// leap goes on with what a restart, a crash or another replica has.
func (x *transcript) leap(how string) string {
	before := x.f.hashForTest(x.t)
	switch how {
	case "restart":
		x.restart()
	case "crash":
		clone := x.fs.CrashClone(vfs.CrashCloneCfg{})
		x.close() // of the old disk
		x.start(clone)
		if _, err := x.f.ApplyBatch(x.log); err != nil {
			x.t.Fatal(err)
		}
		x.index, _ = x.f.Applied()
	case "export-import":
		stream := x.export()
		other := newMachine(x.t)
		if err := other.f.Import(bytes.NewReader(stream)); err != nil {
			x.t.Fatal(err)
		}
		x.close() // the state lives on in the other store
		x.fs, x.db, x.f, other.db = other.fs, other.db, other.f, nil
	}
	if after := x.f.hashForTest(x.t); after != before {
		return fmt.Sprintf("hash was %s, is %s", before, after)
	}
	return "the same keyspace"
}
