package raftfsm

import (
	"bytes"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/keys"
)

// damaged is an account that has something of every kind, for a test to spoil.
type damaged struct {
	*machine
	space keys.Space
}

func newDamaged(t *testing.T) *damaged {
	t.Helper()
	d := &damaged{newMachine(t), keys.ForAccount(1, alice)}
	m := d.machine
	m.ok(newAccount())
	for _, name := range []string{"Archive", "gone"} {
		m.ok(create(name)) // mailboxes 2 and 3
	}
	m.ok(m.mail("gone"))
	m.ok(m.mail("INBOX", `\Seen`, "$Label"))
	m.ok(m.letter("<first@x>"))
	m.ok(m.letter("<second@x>", "first@x"))
	m.ok(m.mail("INBOX", `\Flagged`, "$Label", "$Other"))
	m.ok(m.mail("INBOX", `\Deleted`))
	m.ok(expunge()) // UID 5
	m.ok(&pb.Entry{Account: alice, Op: &pb.Entry_Copy{Copy: &pb.CopyOp{MailboxId: 1, Uids: set(1), Destination: "Archive"}}})
	m.ok(&pb.Entry{Account: alice, Op: &pb.Entry_DeleteMailbox{DeleteMailbox: &pb.DeleteMailboxOp{Name: "gone"}}})
	m.ok(&pb.Entry{Account: alice, Op: &pb.Entry_Subscribe{Subscribe: &pb.SubscribeOp{Name: "Archive", Subscribed: true}}})
	m.ok(&pb.Entry{Account: alice, Op: &pb.Entry_PutChunk{PutChunk: &pb.PutChunkOp{
		BodyId: []byte("staged----------"), Chunk: &pb.BodyChunk{RawSize: 3, Codec: pb.Codec_CODEC_RAW, Data: []byte("abc")},
	}}})
	e := store(pb.StoreOp_MODE_ADD, set(2), `\Answered`)
	e.Request = &pb.RequestId{Session: []byte("session---------"), Sequence: 1}
	m.ok(e)
	m.check(alice)
	return d
}

// edit changes the stored value of a key; nil removes it.
func (d *damaged) edit(key []byte, change func(value []byte) []byte) {
	d.t.Helper()
	value, err := get(d.db, key)
	if err != nil {
		d.t.Fatal(err)
	}
	if value = change(value); value == nil {
		err = d.db.Delete(key, pebble.NoSync)
	} else {
		err = d.db.Set(key, value, pebble.NoSync)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *damaged) remove(key []byte) { d.edit(key, func([]byte) []byte { return nil }) }
func (d *damaged) put(key, value []byte) {
	d.edit(key, func([]byte) []byte { return append([]byte{}, value...) })
}

// only returns the one key of a kind that there is, or the first.
func (d *damaged) only(kind keys.Kind) (first []byte) {
	d.t.Helper()
	start, end := d.space.Kind(kind)
	err := scanKeys(d.db, start, end, func(key []byte) (bool, error) {
		first = bytes.Clone(key)
		return false, nil
	})
	if err != nil || first == nil {
		d.t.Fatalf("no key of kind %q: %v", string(kind), err)
	}
	return first
}

func (d *damaged) account(change func(*accountRecord)) {
	d.edit(d.space.Key(keys.Account), func(value []byte) []byte {
		rec, err := decodeAccount(value)
		if err != nil {
			d.t.Fatal(err)
		}
		change(&rec)
		return rec.encode()
	})
}

func (d *damaged) message(kind keys.Kind, uid imapnum.UID, change func(*messageRecord)) {
	d.edit(d.space.UID(kind, 1, uid), func(value []byte) []byte {
		rec, err := decodeMessage(value)
		if err != nil {
			d.t.Fatal(err)
		}
		change(&rec)
		return rec.encode()
	})
}

func (d *damaged) box(id uint64, change func(*pb.MailboxInfo)) {
	d.edit(d.space.ID(keys.Mailbox, id), func(value []byte) []byte {
		info, err := unmarshalInfo(value)
		if err != nil {
			d.t.Fatal(err)
		}
		change(info)
		return d.marshal(info)
	})
}

func (d *damaged) email(id uint64, change func(*pb.Email)) {
	d.edit(d.space.ID(keys.Email, id), func(value []byte) []byte {
		var e pb.Email
		if err := proto.Unmarshal(value, &e); err != nil {
			d.t.Fatal(err)
		}
		change(&e)
		return d.marshal(&e)
	})
}

func (d *damaged) marshal(m proto.Message) []byte {
	value, err := marshal(m)
	if err != nil {
		d.t.Fatal(err)
	}
	return value
}

// index returns INBOX's bitmaps as they are in memory.
func (d *damaged) index() *index {
	box := d.inbox()
	x := d.f.mu.cache.get(cacheKey{alice, 1}, imapnum.ModSeq(box.info.GetHighestModSeq()))
	if x == nil {
		d.t.Fatal("INBOX has no bitmaps in memory")
	}
	return x
}

// Each thing that a check compares is spoilt in turn, one at a time, and told by name.
func TestCheckTellsWhatIsWrong(t *testing.T) {
	body := []byte("staged----------")
	for _, c := range []struct {
		name  string
		spoil func(*damaged)
		want  string
	}{
		{"bitmap of UIDs", func(d *damaged) { d.index().uids.Add(4000) }, "UID bitmap"},
		{"bitmap of a flag", func(d *damaged) { d.index().flags[0].Add(2) }, "bitmap of flag 0"},
		{"bitmap of a keyword", func(d *damaged) { d.index().words[0].Remove(1) }, "bitmap of keyword 0"},

		{"count of messages", func(d *damaged) { d.box(1, func(i *pb.MailboxInfo) { i.Exists++ }) }, "counts are"},
		{"count of unseen", func(d *damaged) { d.box(1, func(i *pb.MailboxInfo) { i.Unseen-- }) }, "counts are"},
		{"count of octets", func(d *damaged) { d.box(1, func(i *pb.MailboxInfo) { i.Size++ }) }, "counts are"},
		{"count of deleted", func(d *damaged) { d.box(1, func(i *pb.MailboxInfo) { i.Deleted++ }) }, "counts are"},
		{"message that is gone", func(d *damaged) { d.remove(d.space.UID(keys.Message, 1, 2)) }, "counts are"},
		{"flag of a message", func(d *damaged) { d.message(keys.Message, 2, func(m *messageRecord) { m.system |= imapnum.FlagSeen }) }, "counts are"},
		{"keyword that is none", func(d *damaged) { d.message(keys.Message, 2, func(m *messageRecord) { m.keywords = []uint32{7} }) }, "keyword 7 of message 2"},
		{"keyword twice", func(d *damaged) { d.message(keys.Message, 1, func(m *messageRecord) { m.keywords = []uint32{0, 0} }) }, "keyword 0 of message 1"},
		{"modseq of a message", func(d *damaged) { d.message(keys.Message, 1, func(m *messageRecord) { m.modSeq = 4000 }) }, "message 1 at 4000"},
		{"highest modseq", func(d *damaged) { d.box(2, func(i *pb.MailboxInfo) { i.HighestModSeq = 4000 }) }, "account's clock"},
		{"next UID", func(d *damaged) { d.box(1, func(i *pb.MailboxInfo) { i.UidNext = 4 }) }, "UIDNEXT 4"},
		{"recent UID", func(d *damaged) { d.box(1, func(i *pb.MailboxInfo) { i.RecentUid = 50; i.Recent = 0 }) }, "are recent"},

		{"change index lacks one", func(d *damaged) { d.remove(d.only(keys.Change)) }, "in the change index"},
		{"change index has one more", func(d *damaged) { d.put(d.space.Change(1, 3, 2), nil) }, "change index has message 2"},
		{"change index at another modseq", func(d *damaged) {
			d.message(keys.Message, 2, func(m *messageRecord) { m.modSeq-- })
		}, "change index has message 2"},

		{"expunge queue lacks one", func(d *damaged) { d.remove(d.only(keys.Expunge)) }, "neither there nor in the expunge queue"},
		{"expunge queue has what is there", func(d *damaged) { d.put(d.only(keys.Expunge), encodeSet(imapnum.SetOf(4, 5))) }, "are there and in the expunge queue"},
		{"expunge queue has what never was", func(d *damaged) { d.put(d.only(keys.Expunge), encodeSet(imapnum.SetOf(5, 50))) }, "expunge queue has 5,50"},
		{"expunge queue goes on too far", func(d *damaged) { d.put(d.space.Expunge(1, 4000), encodeSet(imapnum.SetOf(5))) }, "expunge queue has 5 at 4000"},
		{"expunge queue below its floor", func(d *damaged) {
			d.box(1, func(i *pb.MailboxInfo) { i.ExpungeFloor = i.HighestModSeq })
		}, "expunge queue has 5"},

		{"quota's octets", func(d *damaged) { d.account(func(a *accountRecord) { a.quota.octets += 3 }) }, "usage is"},
		{"quota's messages", func(d *damaged) { d.account(func(a *accountRecord) { a.quota.messages-- }) }, "usage is"},

		{"references of a body", func(d *damaged) { d.put(d.space.ID(keys.EmailRefs, 2), encodeUint(3)) }, "email 2 has 2 references, counted 3"},
		{"references that are gone", func(d *damaged) { d.remove(d.space.ID(keys.EmailRefs, 3)) }, "emails are referred to"},
		{"email that is gone", func(d *damaged) { d.remove(d.space.ID(keys.Email, 5)) }, "emails, 6 referred to"},
		{"email under another's key", func(d *damaged) { d.email(2, func(e *pb.Email) { e.EmailId = 3 }) }, "under another's key"},
		{"email's size", func(d *damaged) { d.email(2, func(e *pb.Email) { e.Size++ }) }, "its records say"},
		{"size of one of its messages", func(d *damaged) { d.message(keys.Retained, 5, func(m *messageRecord) { m.size++ }) }, "its records say"},
		{"chunk of a body", func(d *damaged) { d.remove(d.only(keys.Body)) }, "body of 0 octets"},
		{"chunk at another offset", func(d *damaged) {
			key := d.only(keys.Body)
			value, err := get(d.db, key)
			if err != nil {
				d.t.Fatal(err)
			}
			d.remove(key)
			key[len(key)-1]++
			d.put(key, value)
		}, "chunk at 1, want 0"},
		{"chunk of nothing", func(d *damaged) {
			d.put(d.space.Body([]byte("nobody's--------"), 0), encodeChunk(&pb.BodyChunk{RawSize: 1, Codec: pb.Codec_CODEC_RAW, Data: []byte("x")}))
		}, "chunks of bodies"},
		{"staged chunk", func(d *damaged) { d.remove(d.space.Body(body, 0)) }, "staged body"},
		{"staged body", func(d *damaged) { d.remove(d.space.Bytes(keys.Upload, body)) }, "chunks of bodies"},

		{"thread of a message", func(d *damaged) { d.message(keys.Message, 3, func(m *messageRecord) { m.threadID = 1 }) }, "its records say 1"},
		{"thread of an email", func(d *damaged) { d.email(4, func(e *pb.Email) { e.ThreadId = 4 }) }, "email 4 is in thread 4"},
		{"index of threads lacks one", func(d *damaged) { d.remove(d.only(keys.Thread)) }, "is not in the index of threads"},
		{"index of threads has one more", func(d *damaged) { d.put(d.space.Thread(make([]byte, keys.ThreadHashLen), 1, 1), nil) }, "keys in the index of threads"},

		{"retained message is gone", func(d *damaged) { d.remove(d.only(keys.Retained)) }, "email 6 has 0 references, counted 1"},
		{"queue of collection lacks one", func(d *damaged) {
			start, end := d.space.Kind(keys.Retention)
			err := scanKeys(d.db, start, end, func(key []byte) (bool, error) {
				if _, _, uid, err := keys.ParseRetention(d.space.Rest(key)); err != nil || uid == 0 {
					return true, err
				}
				d.remove(bytes.Clone(key))
				return false, nil
			})
			if err != nil {
				d.t.Fatal(err)
			}
		}, "are to be collected"},
		{"queue of collection has one more", func(d *damaged) { d.put(d.space.Retention(1, 1, 2), nil) }, "is to be collected, and not there"},
		{"mailbox that exists is to be collected", func(d *damaged) { d.put(d.space.Retention(1, 2, 0), nil) }, "mailbox 2 exists, and is to be collected"},
		{"deleted mailbox is never collected", func(d *damaged) {
			start, end := d.space.Kind(keys.Retention)
			if err := d.db.DeleteRange(start, end, pebble.NoSync); err != nil {
				d.t.Fatal(err)
			}
			d.remove(d.space.UID(keys.Retained, 1, 5))
			d.put(d.space.Retention(1, 1, 5), nil)
			d.put(d.space.UID(keys.Retained, 1, 5), retainedOf(d))
		}, "of mailbox 3, which does not exist"},

		{"count of mailboxes", func(d *damaged) { d.account(func(a *accountRecord) { a.mailboxes++ }) }, "mailboxes, counted"},
		{"name of a mailbox", func(d *damaged) { d.remove(d.space.Bytes(keys.Name, []byte("Archive"))) }, "mailboxes, counted"},
		{"name of another mailbox", func(d *damaged) { d.put(d.space.Bytes(keys.Name, []byte("Archive")), encodeUint(1)) }, "names of mailboxes"},
		{"mailbox without a name", func(d *damaged) {
			d.remove(d.space.Bytes(keys.Name, []byte("Archive")))
			d.account(func(a *accountRecord) {
				a.mailboxes--
				a.quota.messages--
				rec, err := d.inbox().a.Email(2)
				if err != nil {
					d.t.Fatal(err)
				}
				a.quota.octets -= rec.GetSize()
			})
		}, "mailbox 2 has no name"},
		{"UIDVALIDITY twice", func(d *damaged) { d.box(2, func(i *pb.MailboxInfo) { i.UidValidity = 7 }) }, "have the UIDVALIDITY 7"},
		{"last UIDVALIDITY", func(d *damaged) { d.account(func(a *accountRecord) { a.lastUIDValidity = 1 }) }, "the last ones given"},
		{"last mailbox", func(d *damaged) { d.account(func(a *accountRecord) { a.lastMailbox = 1 }) }, "the last ones given"},
		{"last email", func(d *damaged) { d.account(func(a *accountRecord) { a.lastEmail = 1 }) }, "the last one given is 1"},

		{"access control list of nothing", func(d *damaged) {
			d.put(d.space.ID(keys.ACL, 9), d.marshal(&pb.Acl{Entries: []*pb.AclEntry{{Identifier: "bob@example.org", Rights: 1}}}))
		}, "access control list of mailbox 9"},
		{"count of annotations", func(d *damaged) {
			use := metadataUse{entries: 1, octets: 3, modSeq: 1}
			d.put(d.space.Key(keys.MetadataUse), use.encode())
		}, "annotations: "},
		{"remembered result", func(d *damaged) { d.edit(d.only(keys.Session), func(v []byte) []byte { return append(v, 0xff) }) }, "result of"},
		{"credentials", func(d *damaged) { d.put(d.space.Key(keys.Credentials), []byte{0xff}) }, "credentials"},
		{"subscription", func(d *damaged) { d.put(d.space.Bytes(keys.Subscribed, []byte("inbox")), nil) }, "subscription"},
		{"key of no kind", func(d *damaged) { d.put(d.space.Key('Z', 1), nil) }, `unknown kind, "Z"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDamaged(t)
			c.spoil(d)
			err := d.f.Check(alice)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("check says %v, want %q", err, c.want)
			}
		})
	}
}

// retainedOf makes a record as INBOX's expunged message had.
func retainedOf(d *damaged) []byte {
	d.t.Helper()
	e, err := d.inbox().a.Email(6)
	if err != nil {
		d.t.Fatal(err)
	}
	return (&messageRecord{modSeq: 1, size: e.GetSize(), emailID: 6, threadID: e.GetThreadId()}).encode()
}
