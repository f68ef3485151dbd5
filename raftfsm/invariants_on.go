//go:build invariants

package raftfsm

import (
	"bytes"
	"fmt"

	"google.golang.org/protobuf/proto"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/keys"
)

// checkAfter verifies every account that a batch has touched.
func (f *FSM) checkAfter(tx *tx) error {
	for _, a := range tx.order {
		if err := f.hot.check(f, a.name); err != nil {
			return err
		}
		if a.exists {
			if err := f.Check(a.name); err != nil {
				return err
			}
		}
	}
	return nil
}

// check compares what is held of an account with the store.
func (h *hot) check(f *FSM, name string) error {
	a := h.get(name)
	if a == nil {
		return nil
	}
	// same says whether a key has the value; what is not there has nil.
	same := func(what string, key, want []byte) error {
		have, err := get(f.db, key)
		if err == nil && !bytes.Equal(have, want) {
			err = fmt.Errorf("%w: %s of account %q is held as %x, stored as %x", ErrInvariant, what, name, want, have)
		}
		return err
	}
	if a.exists || a.rec.deleted {
		if err := same("record", a.space.Key(keys.Account), a.rec.encode()); err != nil {
			return err
		}
	}
	for id, m := range a.boxes {
		key := a.space.ID(keys.Mailbox, uint64(id))
		if m == nil {
			if err := same("mailbox", key, nil); err != nil {
				return err
			}
			continue
		}
		have, err := get(f.db, key)
		info := &pb.MailboxInfo{}
		if err == nil && (proto.Unmarshal(have, info) != nil || !proto.Equal(info, m.info)) {
			err = fmt.Errorf("%w: mailbox %d of account %q is held as %v, stored as %v", ErrInvariant, id, name, m.info, info)
		}
		if err != nil {
			return err
		}
	}
	for box, id := range a.names {
		if err := same("name", a.space.Bytes(keys.Name, []byte(box)), encodeUint(uint64(id))); err != nil {
			return err
		}
	}
	for session, rec := range a.sessions {
		if err := same("session", a.space.Bytes(keys.Session, []byte(session)), rec.encode()); err != nil {
			return err
		}
	}
	return nil
}
