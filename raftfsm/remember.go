package raftfsm

import (
	"google.golang.org/protobuf/proto"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/keys"
)

// recall returns the result that an entry's session was given for it before, or
// a refusal of a stale one; nil if the entry is to be applied. Entries without
// a request id are always applied.
func (tx *tx) recall(a *account, req *pb.RequestId) (*pb.Result, error) {
	if req == nil {
		return nil, nil
	}
	if len(req.GetSession()) != keys.SessionIDLen || req.GetSequence() == 0 {
		return refuse(pb.Code_CODE_INVALID, "malformed request id"), nil
	}
	rec, ok := a.sessions[string(req.GetSession())]
	if !ok {
		value, err := get(tx.b, a.space.Bytes(keys.Session, req.GetSession()))
		if err != nil || value == nil {
			return nil, err
		}
		if rec, err = decodeRemembered(value); err != nil {
			return nil, err
		}
	}
	switch {
	case req.GetSequence() > rec.sequence:
		return nil, nil
	case req.GetSequence() < rec.sequence:
		return refuse(pb.Code_CODE_STALE_REQUEST, "a later request of the session has been applied"), nil
	}
	return rec.decode()
}

// decode returns the remembered result, marked as such.
func (r *rememberedRecord) decode() (*pb.Result, error) {
	res := &pb.Result{}
	if err := proto.Unmarshal(r.result, res); err != nil {
		return nil, errCorrupt
	}
	res.Repeated = true
	return res, nil
}

// remember keeps the result for a session's retry.
func (tx *tx) remember(a *account, req *pb.RequestId, res *pb.Result) error {
	if req == nil {
		return nil
	}
	rec, err := tx.keep(a.space.Bytes(keys.Session, req.GetSession()), req.GetSequence(), res)
	if err == nil {
		a.sessions[string(req.GetSession())] = rec
	}
	return err
}

// keep stores a result under a key.
func (tx *tx) keep(key []byte, sequence uint64, res *pb.Result) (rememberedRecord, error) {
	if res.GetRepeated() {
		res = proto.CloneOf(res) // a delivery's result, under another session's request
		res.Repeated = false
	}
	if res.BeforeModSeq != 0 {
		res = proto.CloneOf(res)
		res.States, res.BeforeModSeq = nil, 0 // what the result has for its first reader only
	}
	value, err := marshal(res)
	if err != nil {
		return rememberedRecord{}, err
	}
	rec := rememberedRecord{sequence: sequence, time: tx.applied.time, result: value}
	return rec, tx.set(key, rec.encode())
}
