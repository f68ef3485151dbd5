package raftfsm

import (
	"bytes"
	"math/bits"

	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/keys"
)

// maxChunk bounds a body chunk, raw and as stored.
const maxChunk = 256 << 10

// maxInline bounds the chunks that ride in an append entry, as stored.
const maxInline = 256 << 10

// append adds messages to a mailbox, all or none. Messages that the same entry
// removes make room for them.
func (tx *tx) append(a *account, op *pb.AppendOp, gone ...message) (*pb.Result, error) {
	if id := op.GetDeliveryId(); len(id) > 0 {
		if len(id) != keys.DeliveryIDLen || a.actor != "" {
			return refuse(pb.Code_CODE_INVALID, "malformed delivery id"), nil
		}
		value, err := get(tx.b, a.space.Bytes(keys.Delivery, id))
		if err != nil {
			return nil, err
		}
		if value != nil {
			rec, err := decodeRemembered(value)
			if err != nil {
				return nil, err
			}
			return rec.decode()
		}
	}
	op, refusal, err := tx.withEmails(a, op)
	if err != nil || refusal != nil {
		return refusal, err
	}
	m, refusal, err := tx.checkAppend(a, op, gone)
	if err != nil || refusal != nil {
		return refusal, err
	}
	rights, err := tx.rights(a, m)
	if err != nil {
		return nil, err
	}
	mask := maskOf(rights)
	known := len(m.info.GetKeywords())
	recs := make([]messageRecord, len(op.GetMessages()))
	for i, msg := range op.GetMessages() {
		system, keywords, refusal := m.flags(mask.allowed(msg.GetFlags()), true)
		if refusal != nil {
			m.info.Keywords = m.info.GetKeywords()[:known]
			return refusal, nil
		}
		recs[i] = messageRecord{
			system: system, keywords: keywords,
			internalDate: msg.GetInternalDate(), zoneMinutes: msg.GetZoneMinutes(), size: msg.GetEmail().GetSize(),
		}
	}
	var uids imapnum.SetBuilder
	for i, msg := range op.GetMessages() {
		if recs[i].emailID, recs[i].threadID, err = tx.addEmail(a, msg); err != nil {
			return nil, err
		}
		if id := msg.GetEmailUpload(); len(id) > 0 {
			if err := tx.dropUpload(a, id); err != nil {
				return nil, err
			}
		}
		uid, err := tx.insert(a, m, recs[i])
		if err != nil {
			return nil, err
		}
		uids.Add(uid)
	}
	res := &pb.Result{
		Code: pb.Code_CODE_OK, ModSeq: uint64(a.take()), UidValidity: m.info.GetUidValidity(),
		Uids: &pb.UidSet{Packed: uids.Set().Pack()}, MailboxId: uint64(m.id),
	}
	if id := op.GetDeliveryId(); len(id) > 0 {
		_, err = tx.keep(a.space.Bytes(keys.Delivery, id), 0, res)
	}
	return res, err
}

// checkAppend returns the mailbox if all messages can go into it.
func (tx *tx) checkAppend(a *account, op *pb.AppendOp, gone []message) (*mailbox, *pb.Result, error) {
	name, ok := imapnum.MailboxName(op.GetMailbox())
	if !ok {
		return nil, noMailbox(), nil
	}
	m, err := tx.mailboxByName(a, name)
	if err != nil {
		return nil, nil, err
	}
	if refusal, err := tx.may(a, m, imapnum.RightInsert); err != nil || refusal != nil {
		return nil, refusal, err
	}
	n := len(op.GetMessages())
	switch {
	case n == 0:
		return nil, refuse(pb.Code_CODE_INVALID, "no messages"), nil
	case n > maxAppendMessages:
		return nil, refuse(pb.Code_CODE_LIMIT, "too many messages at once"), nil
	case !m.roomFor(n):
		return nil, refuse(pb.Code_CODE_UIDS_EXHAUSTED, "no UIDs left"), nil
	}
	seen := make(map[string]bool, n)
	for _, msg := range op.GetMessages() {
		id, upload := msg.GetEmail().GetBodyId(), msg.GetEmailUpload()
		if len(id) != keys.BodyIDLen || seen[string(id)] || len(upload) > 0 && (seen[string(upload)] || bytes.Equal(id, upload)) {
			return nil, refuse(pb.Code_CODE_INVALID, "malformed body id"), nil
		}
		seen[string(id)] = true
		if len(upload) > 0 {
			seen[string(upload)] = true
		}
		if refusal, err := tx.checkBody(a, msg); err != nil || refusal != nil {
			return nil, refusal, err
		}
	}
	add := demandOf(op.GetMessages(), func(msg *pb.AppendMessage) uint64 { return msg.GetEmail().GetSize() })
	if refusal := a.room(add.less(demandOf(gone, messageSize))); refusal != nil {
		return nil, refusal, nil
	}
	return m, nil, nil
}

// roomFor reports whether n more messages can have UIDs. The last UID is never
// given: UIDNEXT could not be told.
func (m *mailbox) roomFor(n int) bool {
	return uint64(m.info.GetUidNext())+uint64(n) < 1<<32
}

// checkBody refuses a message whose body is not whole.
func (tx *tx) checkBody(a *account, msg *pb.AppendMessage) (*pb.Result, error) {
	e := msg.GetEmail()
	if len(msg.GetInline()) > 0 || e.GetSize() == 0 {
		var at uint64
		stored := 0
		for _, c := range msg.GetInline() {
			if c.GetOffset() != at || !validChunk(c) {
				return refuse(pb.Code_CODE_INVALID, "chunks are not contiguous"), nil
			}
			at += uint64(c.GetRawSize())
			stored += len(c.GetData())
		}
		if at != e.GetSize() || stored > maxInline {
			return refuse(pb.Code_CODE_INVALID, "chunks are not the whole body, or too large for one entry"), nil
		}
		taken, err := tx.hasBody(a, e.GetBodyId())
		if taken {
			return refuse(pb.Code_CODE_INVALID, "the body id is in use"), err
		}
		return nil, err
	}
	value, err := get(tx.b, a.space.Bytes(keys.Upload, e.GetBodyId()))
	if err != nil {
		return nil, err
	}
	if value == nil {
		return refuse(pb.Code_CODE_NO_BODY, "the body was not staged, or has expired"), nil
	}
	up, err := decodeUpload(value)
	if err != nil {
		return nil, err
	}
	if up.octets != e.GetSize() {
		return refuse(pb.Code_CODE_NO_BODY, "the staged body is not complete"), nil
	}
	// Octets that add up can still overlap: look at the chunks themselves.
	var at uint64
	whole := true
	start := a.space.Body(e.GetBodyId(), 0)
	err = tx.scan(start, a.space.Body(e.GetBodyId(), 1<<64-1), func(key, value []byte) (bool, error) {
		_, offset, err := keys.ParseBody(a.space.Rest(key))
		if err != nil {
			return false, err
		}
		c, err := decodeChunk(offset, value)
		if err != nil {
			return false, err
		}
		whole = offset == at
		at += uint64(c.GetRawSize())
		return whole, nil
	})
	if err == nil && (!whole || at != e.GetSize()) {
		return refuse(pb.Code_CODE_NO_BODY, "the staged chunks are not contiguous"), nil
	}
	return nil, err
}

func validChunk(c *pb.BodyChunk) bool {
	switch c.GetCodec() {
	case pb.Codec_CODEC_RAW:
		if len(c.GetData()) != int(c.GetRawSize()) {
			return false
		}
	case pb.Codec_CODEC_ZSTD:
	default:
		return false
	}
	return c.GetRawSize() > 0 && c.GetRawSize() <= maxChunk && len(c.GetData()) <= maxChunk &&
		c.GetOffset() < 1<<62
}

// addEmail stores a message's content record, and its body if that is inline,
// and returns its id and its thread's. The reference is that of the message
// record to come. The content record is the entry's own, which is not used again.
func (tx *tx) addEmail(a *account, msg *pb.AppendMessage) (id, thread uint64, err error) {
	a.rec.lastEmail++
	a.dirty = true
	id = a.rec.lastEmail
	e := msg.GetEmail()
	e.EmailId = id
	if e.ThreadId, err = tx.joinThread(a, e); err != nil {
		return 0, 0, err
	}
	value, err := marshal(e)
	if err != nil {
		return 0, 0, err
	}
	if err := tx.set(a.space.ID(keys.Email, id), value); err != nil {
		return 0, 0, err
	}
	for _, c := range msg.GetInline() {
		if err := tx.setChunk(a.space.Body(e.GetBodyId(), c.GetOffset()), c); err != nil {
			return 0, 0, err
		}
	}
	if len(msg.GetInline()) == 0 && e.GetSize() > 0 {
		if err := tx.del(a.space.Bytes(keys.Upload, e.GetBodyId())); err != nil {
			return 0, 0, err
		}
	}
	return id, e.GetThreadId(), tx.set(a.space.ID(keys.EmailRefs, id), encodeUint(1))
}

// dropEmail removes a content record that nothing refers to any more, with its
// body.
func (tx *tx) dropEmail(a *account, id uint64) error {
	value, err := get(tx.b, a.space.ID(keys.Email, id))
	if err != nil {
		return err
	}
	var e pb.Email
	if value == nil || proto.Unmarshal(value, &e) != nil {
		return errCorrupt
	}
	for _, key := range [][]byte{a.space.ID(keys.Email, id), a.space.ID(keys.EmailRefs, id)} {
		if err := tx.del(key); err != nil {
			return err
		}
	}
	if err := tx.leaveThread(a, &e); err != nil {
		return err
	}
	return tx.dropBody(a, e.GetBodyId())
}

func (tx *tx) dropBody(a *account, bodyID []byte) error {
	start := a.space.Bytes(keys.Body, bodyID)
	return tx.delRange(start, keys.Successor(start))
}

// putChunk stages a chunk of a body that an append will refer to.
func (tx *tx) putChunk(a *account, op *pb.PutChunkOp) (*pb.Result, error) {
	c := op.GetChunk()
	if len(op.GetBodyId()) != keys.BodyIDLen || c == nil || !validChunk(c) {
		return refuse(pb.Code_CODE_INVALID, "malformed chunk"), nil
	}
	if refusal, err := tx.mayStage(a); err != nil || refusal != nil {
		return refusal, err
	}
	key := a.space.Body(op.GetBodyId(), c.GetOffset())
	old, err := get(tx.b, key)
	if err != nil {
		return nil, err
	}
	if old != nil {
		if !bytes.Equal(old, encodeChunk(c)) {
			return refuse(pb.Code_CODE_INVALID, "another chunk has been staged at this offset"), nil
		}
		return &pb.Result{Code: pb.Code_CODE_OK}, nil
	}
	var up uploadRecord
	marker := a.space.Bytes(keys.Upload, op.GetBodyId())
	value, err := get(tx.b, marker)
	if err != nil {
		return nil, err
	}
	if value != nil {
		if up, err = decodeUpload(value); err != nil {
			return nil, err
		}
	} else if first, err := tx.hasBody(a, op.GetBodyId()); err != nil || first {
		// Chunks without a marker are a message's: a late repetition of a chunk
		// must not begin an upload beside them.
		return refuse(pb.Code_CODE_INVALID, "the body is in use"), err
	}
	up.chunks++
	up.octets += uint64(c.GetRawSize())
	up.time = tx.applied.time
	a.stages = 0
	if err := tx.set(marker, up.encode()); err != nil {
		return nil, err
	}
	return &pb.Result{Code: pb.Code_CODE_OK}, tx.setChunk(key, c)
}

// hasBody reports whether a body is stored, or being staged: the first has a chunk
// at 0, the second a record. Both are single keys, which the store knows to be
// absent without a look at its files.
func (tx *tx) hasBody(a *account, bodyID []byte) (bool, error) {
	value, err := get(tx.b, a.space.Body(bodyID, 0))
	if err != nil || value != nil {
		return value != nil, err
	}
	return tx.staging(a, bodyID)
}

// staging reports whether a body is being staged. Few accounts have any: of one that
// is asked about again it is found out once, and remembered.
func (tx *tx) staging(a *account, bodyID []byte) (bool, error) {
	if a.stages == stagesNothing {
		return false, nil
	}
	if a.stages <= 1<<30 {
		a.stages++
	}
	if a.stages > 1 && bits.OnesCount32(uint32(a.stages)) == 1 { // seldom, where the answer is yes
		found := false
		start, end := a.space.Kind(keys.Upload)
		err := scanKeys(tx.b, start, end, func([]byte) (bool, error) {
			found = true
			return false, nil
		})
		if err != nil {
			return false, err
		}
		if !found {
			a.stages = stagesNothing
			return false, nil
		}
	}
	value, err := get(tx.b, a.space.Bytes(keys.Upload, bodyID))
	return value != nil, err
}

// stagesNothing is the account.stages of one in which no body is being staged.
const stagesNothing = -1

// encodeChunk makes the stored form of a chunk: version, codec, raw size, data.
func encodeChunk(c *pb.BodyChunk) []byte { return append(chunkHeader(c), c.GetData()...) }

func chunkHeader(c *pb.BodyChunk) []byte {
	return append([]byte{recordVersion, byte(c.GetCodec())}, encodeUint(uint64(c.GetRawSize()))...)
}

// setChunk stores a chunk, whose data it copies once, to where the batch has them.
func (tx *tx) setChunk(key []byte, c *pb.BodyChunk) error {
	header := chunkHeader(c)
	op := tx.b.SetDeferred(len(key), len(header)+len(c.GetData()))
	copy(op.Key, key)
	copy(op.Value[copy(op.Value, header):], c.GetData())
	return op.Finish()
}

// decodeChunk is the reverse of encodeChunk. Its data are value's own octets.
func decodeChunk(offset uint64, value []byte) (*pb.BodyChunk, error) {
	d := decoder{b: value}
	d.version()
	c := &pb.BodyChunk{Offset: offset, Codec: pb.Codec(d.uvarint()), RawSize: uint32(d.uvarint())}
	if d.bad {
		return nil, errCorrupt
	}
	c.Data = d.b
	return c, nil
}
