package raftfsm

import (
	"encoding/binary"
	"errors"

	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/proto/imapnum"
)

// errCorrupt says that a stored value cannot be what the state machine wrote.
// It is fail-stop: the replica's state is no longer known.
var errCorrupt = errors.New("stored record is corrupt")

// recordVersion begins each hand-made record, so that its layout can change.
const recordVersion = 1

// marshal encodes a stored message. Replicas compare what is stored, so it must
// not depend on the order of a map: the messages have none, and the option makes
// it explicit.
func marshal(m proto.Message) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}

// messageRecord is what is stored of a message in a mailbox. It is hand-made:
// flag changes rewrite it, and FETCH FLAGS reads one a message.
type messageRecord struct {
	modSeq       imapnum.ModSeq
	system       imapnum.SystemFlags
	keywords     []uint32 // ascending indexes into the mailbox's keyword table
	internalDate int64    // seconds since 1970
	zoneMinutes  int32
	size         uint64
	emailID      uint64
	saveDate     int64 // seconds since 1970
	// threadID is that of the email; 0 in records of before there were threads,
	// which end before it.
	threadID uint64
}

func (m *messageRecord) encode() []byte {
	b := make([]byte, 0, 40+2*len(m.keywords))
	b = append(b, recordVersion)
	b = binary.AppendUvarint(b, uint64(m.modSeq))
	b = binary.AppendUvarint(b, uint64(m.system))
	b = binary.AppendVarint(b, m.internalDate)
	b = binary.AppendVarint(b, int64(m.zoneMinutes))
	b = binary.AppendUvarint(b, m.size)
	b = binary.AppendUvarint(b, m.emailID)
	b = binary.AppendVarint(b, m.saveDate)
	b = binary.AppendUvarint(b, uint64(len(m.keywords)))
	for _, k := range m.keywords {
		b = binary.AppendUvarint(b, uint64(k))
	}
	if m.threadID != 0 {
		b = binary.AppendUvarint(b, m.threadID)
	}
	return b
}

func decodeMessage(b []byte) (messageRecord, error) {
	d := decoder{b: b}
	d.version()
	m := messageRecord{
		modSeq:       imapnum.ModSeq(d.uvarint()),
		system:       imapnum.SystemFlags(d.uvarint()),
		internalDate: d.varint(),
		zoneMinutes:  int32(d.varint()),
		size:         d.uvarint(),
		emailID:      d.uvarint(),
		saveDate:     d.varint(),
	}
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.bad = true
	} else if n > 0 {
		m.keywords = make([]uint32, n)
		for i := range m.keywords {
			m.keywords[i] = uint32(d.uvarint())
		}
	}
	if len(d.b) > 0 {
		m.threadID = d.uvarint()
	}
	return m, d.end()
}

// accountRecord is an account's counters.
type accountRecord struct {
	modSeq          imapnum.ModSeq // last given
	lastMailbox     imapnum.MailboxID
	lastEmail       uint64
	lastUIDValidity imapnum.UIDValidity
	mailboxes       uint32 // how many exist
	// deleted: the account is gone. The counters stay, so that an account of the
	// same name goes on where this one ended: nothing is ever given twice.
	deleted bool
	// quota is nil in a record of before there were quotas; see countUsage.
	quota *quotaRecord
}

func (a *accountRecord) encode() []byte {
	b := []byte{recordVersion}
	b = binary.AppendUvarint(b, uint64(a.modSeq))
	b = binary.AppendUvarint(b, uint64(a.lastMailbox))
	b = binary.AppendUvarint(b, a.lastEmail)
	b = binary.AppendUvarint(b, uint64(a.lastUIDValidity))
	b = binary.AppendUvarint(b, uint64(a.mailboxes))
	if a.deleted {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	if a.quota == nil {
		return b
	}
	return a.quota.append(b)
}

func decodeAccount(b []byte) (accountRecord, error) {
	d := decoder{b: b}
	d.version()
	a := accountRecord{
		modSeq:          imapnum.ModSeq(d.uvarint()),
		lastMailbox:     imapnum.MailboxID(d.uvarint()),
		lastEmail:       d.uvarint(),
		lastUIDValidity: imapnum.UIDValidity(d.uvarint()),
		mailboxes:       uint32(d.uvarint()),
		deleted:         d.uvarint() == 1,
	}
	if len(d.b) > 0 {
		a.quota = d.quota()
	}
	return a, d.end()
}

// uploadRecord is what is known of a staged body.
type uploadRecord struct {
	chunks uint64
	octets uint64 // raw size of all chunks
	time   int64  // of the last chunk
}

func (u *uploadRecord) encode() []byte {
	b := []byte{recordVersion}
	b = binary.AppendUvarint(b, u.chunks)
	b = binary.AppendUvarint(b, u.octets)
	return binary.AppendVarint(b, u.time)
}

func decodeUpload(b []byte) (uploadRecord, error) {
	d := decoder{b: b}
	d.version()
	u := uploadRecord{chunks: d.uvarint(), octets: d.uvarint(), time: d.varint()}
	return u, d.end()
}

// rememberedRecord is a result kept for a session or a delivery.
type rememberedRecord struct {
	sequence uint64 // 0 for deliveries
	time     int64
	result   []byte // pb.Result
}

func (r *rememberedRecord) encode() []byte {
	b := []byte{recordVersion}
	b = binary.AppendUvarint(b, r.sequence)
	b = binary.AppendVarint(b, r.time)
	return append(b, r.result...)
}

func decodeRemembered(b []byte) (rememberedRecord, error) {
	d := decoder{b: b}
	d.version()
	r := rememberedRecord{sequence: d.uvarint(), time: d.varint()}
	r.result = d.b
	if d.bad {
		return r, errCorrupt
	}
	return r, nil
}

// appliedRecord is how far the log has been applied.
type appliedRecord struct {
	index, term uint64
	time        int64 // highest time of an entry, nanoseconds since 1970
}

func (a *appliedRecord) encode() []byte {
	b := []byte{recordVersion}
	b = binary.AppendUvarint(b, a.index)
	b = binary.AppendUvarint(b, a.term)
	return binary.AppendVarint(b, a.time)
}

func decodeApplied(b []byte) (appliedRecord, error) {
	d := decoder{b: b}
	d.version()
	a := appliedRecord{index: d.uvarint(), term: d.uvarint(), time: d.varint()}
	return a, d.end()
}

func encodeUint(n uint64) []byte { return binary.AppendUvarint(nil, n) }

func decodeUint(b []byte) (uint64, error) {
	d := decoder{b: b}
	n := d.uvarint()
	return n, d.end()
}

func encodeSet(s imapnum.Set) []byte {
	var b []byte
	for _, n := range s.Pack() {
		b = binary.AppendUvarint(b, uint64(n))
	}
	return b
}

func decodeSet(b []byte) (imapnum.Set, error) {
	d := decoder{b: b}
	var packed []uint32
	for len(d.b) > 0 && !d.bad {
		n := d.uvarint()
		if n > 1<<32-1 {
			d.bad = true
		}
		packed = append(packed, uint32(n))
	}
	if d.bad {
		return imapnum.Set{}, errCorrupt
	}
	s, err := imapnum.Unpack(packed)
	if err != nil {
		return s, errCorrupt
	}
	return s, nil
}

// decoder reads the numbers of a record. Past a mistake it reads zeros.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) version() {
	if len(d.b) == 0 || d.b[0] != recordVersion {
		d.bad, d.b = true, nil
		return
	}
	d.b = d.b[1:]
}

func (d *decoder) uvarint() uint64 {
	n, size := binary.Uvarint(d.b)
	if size <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *decoder) varint() int64 {
	n, size := binary.Varint(d.b)
	if size <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *decoder) end() error {
	if d.bad || len(d.b) > 0 {
		return errCorrupt
	}
	return nil
}
