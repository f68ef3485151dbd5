package raftfsm

import (
	"google.golang.org/protobuf/proto"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/keys"
)

// maxStagedEmails bounds the content records of one append that were staged: they
// are in memory together.
const maxStagedEmails = 16 << 20

// withEmails returns an append with the content records in it that were staged.
func (tx *tx) withEmails(a *account, op *pb.AppendOp) (*pb.AppendOp, *pb.Result, error) {
	full, left := op, maxStagedEmails
	for i, msg := range op.GetMessages() {
		id := msg.GetEmailUpload()
		if len(id) == 0 || i >= maxAppendMessages {
			continue
		}
		if len(id) != keys.BodyIDLen || msg.GetEmail() != nil {
			return nil, refuse(pb.Code_CODE_INVALID, "malformed upload id"), nil
		}
		record, refusal, err := tx.staged(a, id, left)
		if err != nil || refusal != nil {
			return nil, refusal, err
		}
		left -= len(record)
		var e pb.Email
		if proto.Unmarshal(record, &e) != nil {
			return nil, refuse(pb.Code_CODE_INVALID, "what was staged is no content record"), nil
		}
		if full == op {
			full = &pb.AppendOp{Mailbox: op.GetMailbox(), DeliveryId: op.GetDeliveryId(), Messages: append([]*pb.AppendMessage(nil), op.GetMessages()...)}
		}
		full.Messages[i] = &pb.AppendMessage{
			Flags: msg.GetFlags(), InternalDate: msg.GetInternalDate(), ZoneMinutes: msg.GetZoneMinutes(),
			Email: &e, Inline: msg.GetInline(), EmailUpload: id,
		}
	}
	return full, nil, nil
}

// staged returns the octets of an upload, of which there may be most.
func (tx *tx) staged(a *account, id []byte, most int) ([]byte, *pb.Result, error) {
	value, err := get(tx.b, a.space.Bytes(keys.Upload, id))
	if err != nil {
		return nil, nil, err
	}
	if value == nil {
		return nil, refuse(pb.Code_CODE_NO_BODY, "the content record was not staged, or has expired"), nil
	}
	up, err := decodeUpload(value)
	if err != nil {
		return nil, nil, err
	}
	if up.octets > uint64(most) {
		return nil, refuse(pb.Code_CODE_LIMIT, "the messages are described by too much"), nil
	}
	var octets []byte
	whole := true
	err = tx.scan(a.space.Body(id, 0), a.space.Body(id, 1<<64-1), func(key, value []byte) (bool, error) {
		_, offset, err := keys.ParseBody(a.space.Rest(key))
		if err != nil {
			return false, err
		}
		c, err := decodeChunk(offset, value)
		if err != nil {
			return false, err
		}
		whole = offset == uint64(len(octets)) && c.GetCodec() == pb.Codec_CODEC_RAW
		octets = append(octets, c.GetData()...)
		return whole, nil
	})
	if err == nil && !whole {
		return nil, refuse(pb.Code_CODE_NO_BODY, "the staged content record is not whole"), nil
	}
	return octets, nil, err
}

// dropUpload removes what was staged and has been used.
func (tx *tx) dropUpload(a *account, id []byte) error {
	if err := tx.del(a.space.Bytes(keys.Upload, id)); err != nil {
		return err
	}
	return tx.dropBody(a, id)
}
