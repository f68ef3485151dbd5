package raftfsm

import (
	"bytes"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/keys"
)

// given checks that the account's counters are not below what was given, that no
// UIDVALIDITY was given twice, and that each mailbox record has its name.
func (c *checker) given() error {
	last := &c.a.rec
	names := make(map[uint32]string)
	for id, box := range c.boxes {
		v := box.info.GetUidValidity()
		switch other := names[v]; {
		case other != "":
			return fmt.Errorf("%w: mailboxes %q and %q have the UIDVALIDITY %d", ErrInvariant, other, box.info.GetName(), v)
		case id > last.lastMailbox || v == 0 || imapnum.UIDValidity(v) > last.lastUIDValidity:
			return fmt.Errorf("%w: mailbox %d with UIDVALIDITY %d, the last ones given are %d and %d", ErrInvariant, id, v, last.lastMailbox, last.lastUIDValidity)
		}
		names[v] = box.info.GetName()
	}
	start, end := c.a.space.Kind(keys.Mailbox)
	return scanKeys(c.a.v.snap, start, end, func(key []byte) (bool, error) {
		id, err := keys.ParseID(c.a.space.Rest(key))
		if _, named := c.boxes[imapnum.MailboxID(id)]; err == nil && !named {
			err = fmt.Errorf("%w: mailbox %d has no name", ErrInvariant, id)
		}
		return true, err
	})
}

// retained checks that each expunged message is in the queue of those to be collected,
// once, and that there is nothing else in it but deleted mailboxes; and that none of
// them is also there.
func (c *checker) retained() error {
	space, snap := c.a.space, c.a.v.snap
	queued := 0
	start, end := space.Kind(keys.Retention)
	err := scanKeys(snap, start, end, func(key []byte) (bool, error) {
		_, mailbox, uid, err := keys.ParseRetention(space.Rest(key))
		if err != nil {
			return false, err
		}
		_, exists := c.boxes[mailbox]
		if uid == 0 {
			if exists {
				err = fmt.Errorf("%w: mailbox %d exists, and is to be collected", ErrInvariant, mailbox)
			}
			return true, err
		}
		queued++
		value, err := get(snap, space.UID(keys.Retained, mailbox, uid))
		if err == nil && value == nil {
			err = fmt.Errorf("%w: message %d of mailbox %d is to be collected, and not there", ErrInvariant, uid, mailbox)
		}
		return true, err
	})
	if err != nil {
		return err
	}
	kept := 0
	start, end = space.Kind(keys.Retained)
	err = scanKeys(snap, start, end, func(key []byte) (bool, error) {
		kept++
		mailbox, uid, err := keys.ParseUID(space.Rest(key))
		if box, exists := c.boxes[mailbox]; err == nil && exists && (box.uids.Contains(uid) || uint32(uid) >= box.info.GetUidNext()) {
			err = fmt.Errorf("%w: message %d of mailbox %d is retained, but was not expunged", ErrInvariant, uid, mailbox)
		}
		return true, err
	})
	if err == nil && kept != queued {
		err = fmt.Errorf("%w: %d expunged messages are retained, %d are to be collected", ErrInvariant, kept, queued)
	}
	return err
}

// knownKinds are the kinds of keys that an account has.
const knownKinds = string(keys.Account) + string(keys.Body) + string(keys.Credentials) + string(keys.Delivery) + string(keys.Email) +
	string(keys.EmailRefs) + string(keys.Message) + string(keys.SharedBy) + string(keys.Thread) + string(keys.ACL) + string(keys.Mailbox) +
	string(keys.Name) + string(keys.Metadata) + string(keys.MetadataUse) + string(keys.Expunge) + string(keys.Retained) + string(keys.Retention) +
	string(keys.Session) + string(keys.Upload) + string(keys.Subscribed) + string(keys.Change)

// owned checks that there are no keys of a kind that nobody knows, and none of a mailbox
// that neither exists nor waits to be collected.
func (c *checker) owned() error {
	space, snap := c.a.space, c.a.v.snap
	waiting := make(map[imapnum.MailboxID]bool)
	start, end := space.Kind(keys.Retention)
	err := scanKeys(snap, start, end, func(key []byte) (bool, error) {
		_, mailbox, uid, err := keys.ParseRetention(space.Rest(key))
		waiting[mailbox] = waiting[mailbox] || uid == 0
		return true, err
	})
	if err != nil {
		return err
	}
	// Kinds and mailboxes that are known are leapt over.
	first, last := space.Range()
	for next := first; ; {
		var key []byte
		err := scanKeys(snap, next, last, func(found []byte) (bool, error) {
			key = bytes.Clone(found)
			return false, nil
		})
		if err != nil || key == nil {
			return err
		}
		kind := keys.Kind(key[len(first)])
		switch kind {
		case keys.Message, keys.Change, keys.Expunge:
			rest := space.Rest(key)
			if len(rest) < 8 {
				return errCorrupt
			}
			id, err := keys.ParseID(rest[:8])
			if err != nil {
				return err
			}
			mailbox := imapnum.MailboxID(id)
			if _, exists := c.boxes[mailbox]; !exists && !waiting[mailbox] {
				return fmt.Errorf("%w: a key of kind %q is of mailbox %d, which does not exist", ErrInvariant, string(kind), mailbox)
			}
			_, next = space.Mailbox(kind, mailbox)
		default:
			if strings.IndexByte(knownKinds, byte(kind)) < 0 {
				return fmt.Errorf("%w: a key of an unknown kind, %q", ErrInvariant, string(kind))
			}
			_, next = space.Kind(kind)
		}
	}
}

// uploads checks that what is known of staged bodies is what there is of them, and that
// no other chunks are there than theirs and those of content records.
func (c *checker) uploads() error {
	space, snap := c.a.space, c.a.v.snap
	start, end := space.Kind(keys.Upload)
	err := scan(snap, start, end, func(key, value []byte) (bool, error) {
		up, err := decodeUpload(value)
		if err != nil {
			return false, err
		}
		id := bytes.Clone(space.Rest(key))
		var there uploadRecord
		err = c.a.Chunks(id, 0, 1<<64-1, func(chunk *pb.BodyChunk) (bool, error) {
			there.chunks++
			there.octets += uint64(chunk.GetRawSize())
			return true, nil
		})
		c.chunks += there.chunks
		if err == nil && (there.chunks != up.chunks || there.octets != up.octets) {
			err = fmt.Errorf("%w: staged body %x has %d chunks with %d octets, counted %d with %d", ErrInvariant, id, there.chunks, there.octets, up.chunks, up.octets)
		}
		return true, err
	})
	if err != nil {
		return err
	}
	var chunks uint64
	start, end = space.Kind(keys.Body)
	err = scanKeys(snap, start, end, func([]byte) (bool, error) {
		chunks++
		return true, nil
	})
	if err == nil && chunks != c.chunks {
		err = fmt.Errorf("%w: %d chunks of bodies, %d belong to emails and staged bodies", ErrInvariant, chunks, c.chunks)
	}
	return err
}

// remembered checks that the results kept for sessions and deliveries can be given
// again, that credentials can be read, and that subscriptions are of names.
func (c *checker) remembered() error {
	space, snap := c.a.space, c.a.v.snap
	for _, kind := range []keys.Kind{keys.Session, keys.Delivery} {
		start, end := space.Kind(kind)
		err := scan(snap, start, end, func(key, value []byte) (bool, error) {
			rec, err := decodeRemembered(value)
			if err == nil {
				_, err = rec.decode()
			}
			if err == nil && rec.time > c.a.v.applied.time {
				err = fmt.Errorf("%w: a result of the time %d, it is %d", ErrInvariant, rec.time, c.a.v.applied.time)
			}
			if err != nil {
				err = fmt.Errorf("result of %x: %w", space.Rest(key), err)
			}
			return true, err
		})
		if err != nil {
			return err
		}
	}
	value, err := get(snap, space.Key(keys.Credentials))
	if err != nil {
		return err
	}
	if proto.Unmarshal(value, &pb.Credentials{}) != nil {
		return fmt.Errorf("credentials: %w", errCorrupt)
	}
	start, end := space.Kind(keys.Subscribed)
	return scanKeys(snap, start, end, func(key []byte) (bool, error) {
		name := string(space.Rest(key))
		if canon, ok := imapnum.MailboxName(name); !ok || canon != name {
			return false, fmt.Errorf("%w: subscription to %q", ErrInvariant, name)
		}
		return true, nil
	})
}
