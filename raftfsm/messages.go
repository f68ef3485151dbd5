package raftfsm

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/keys"
)

// message is a message record with its UID.
type message struct {
	uid imapnum.UID
	rec messageRecord
}

// fewMessages are got one by one: an iterator looks into every level of the store
// before it gives its first, where one record is most often in the youngest.
const fewMessages = 4

// messages reads the records of those UIDs of a set that exist, ascending.
func (tx *tx) messages(a *account, m *mailbox, set imapnum.Set) ([]message, error) {
	var msgs []message
	err := scanMessages(tx.b, a.space, keys.Message, m.id, set, func(msg message) (bool, error) {
		msgs = append(msgs, msg)
		return true, nil
	})
	return msgs, err
}

// getMessages is scanMessages for a set of few UIDs.
func getMessages(r pebble.Reader, space keys.Space, kind keys.Kind, mailbox imapnum.MailboxID, set imapnum.Set, fn func(message) (bool, error)) error {
	for uid := range set.All() {
		value, err := get(r, space.UID(kind, mailbox, uid))
		if err != nil {
			return err
		}
		if value == nil {
			continue
		}
		rec, err := decodeMessage(value)
		if err != nil {
			return fmt.Errorf("message %d of mailbox %d: %w", uid, mailbox, err)
		}
		if more, err := fn(message{uid, rec}); err != nil || !more {
			return err
		}
	}
	return nil
}

// scanMessages calls fn for each record of a kind (Message or Retained) whose UID is
// in the set, ascending, until it returns false. A set of many ranges over a
// mailbox is read with one iterator that seeks.
func scanMessages(r pebble.Reader, space keys.Space, kind keys.Kind, mailbox imapnum.MailboxID, set imapnum.Set, fn func(message) (bool, error)) (err error) {
	if set.Len() <= fewMessages {
		return getMessages(r, space, kind, mailbox, set, fn)
	}
	start, end := space.Mailbox(kind, mailbox)
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: start, UpperBound: end})
	if err != nil {
		return err
	}
	defer func() {
		if e := it.Close(); err == nil {
			err = e
		}
	}()
	for _, rng := range set.Ranges() {
		for ok := it.SeekGE(space.UID(kind, mailbox, rng.First)); ok; ok = it.Next() {
			_, uid, err := keys.ParseUID(space.Rest(it.Key()))
			if err != nil {
				return err
			}
			if uid > rng.Last {
				break
			}
			value, err := it.ValueAndErr()
			if err != nil {
				return err
			}
			rec, err := decodeMessage(value)
			if err != nil {
				return fmt.Errorf("message %d of mailbox %d: %w", uid, mailbox, err)
			}
			if more, err := fn(message{uid, rec}); err != nil || !more {
				return err
			}
		}
		if err := it.Error(); err != nil {
			return err
		}
	}
	return nil
}

// insert adds a message to a mailbox under the next UID.
func (tx *tx) insert(a *account, m *mailbox, rec messageRecord) (imapnum.UID, error) {
	modSeq := tx.touch(a, m)
	uid := imapnum.UID(m.info.GetUidNext())
	m.info.UidNext++
	m.changes++
	rec.modSeq = modSeq
	rec.saveDate = tx.applied.time / 1e9
	if err := tx.put(a, m, message{uid, rec}); err != nil {
		return 0, err
	}
	m.count(uid, &rec, 1)
	a.use(&rec, 1)
	if m.index != nil {
		m.index.add(uid, &rec)
	}
	return uid, nil
}

// put writes a record and its place in the change index.
func (tx *tx) put(a *account, m *mailbox, msg message) error {
	if err := tx.set(a.space.UID(keys.Message, m.id, msg.uid), msg.rec.encode()); err != nil {
		return err
	}
	return tx.set(a.space.Change(m.id, msg.rec.modSeq, msg.uid), nil)
}

// replace gives a message other flags.
func (tx *tx) replace(a *account, m *mailbox, msg message, system imapnum.SystemFlags, keywords []uint32) error {
	modSeq := tx.touch(a, m)
	if err := tx.del(a.space.Change(m.id, msg.rec.modSeq, msg.uid)); err != nil {
		return err
	}
	m.changes++
	m.count(msg.uid, &msg.rec, -1)
	if m.index != nil {
		m.index.replace(msg.uid, &msg.rec, system, keywords)
	}
	msg.rec.modSeq, msg.rec.system, msg.rec.keywords = modSeq, system, keywords
	m.count(msg.uid, &msg.rec, 1)
	return tx.put(a, m, msg)
}

// remove takes messages out of a mailbox: they go into the expunge queue under
// the entry's modseq, and their records are retained for sessions that have not
// been told.
func (tx *tx) remove(a *account, m *mailbox, msgs []message) (imapnum.Set, error) {
	if len(msgs) == 0 {
		return imapnum.Set{}, nil
	}
	modSeq := tx.touch(a, m)
	m.changes += len(msgs)
	var gone imapnum.SetBuilder
	for _, msg := range msgs {
		gone.Add(msg.uid)
		for _, key := range [][]byte{
			a.space.UID(keys.Message, m.id, msg.uid),
			a.space.Change(m.id, msg.rec.modSeq, msg.uid),
		} {
			if err := tx.del(key); err != nil {
				return imapnum.Set{}, err
			}
		}
		if err := tx.set(a.space.UID(keys.Retained, m.id, msg.uid), msg.rec.encode()); err != nil {
			return imapnum.Set{}, err
		}
		if err := tx.set(a.space.Retention(tx.applied.time, m.id, msg.uid), nil); err != nil {
			return imapnum.Set{}, err
		}
		m.count(msg.uid, &msg.rec, -1)
		a.use(&msg.rec, -1)
		if m.index != nil {
			m.index.remove(msg.uid, &msg.rec)
		}
	}
	set := gone.Set()
	return set, tx.set(a.space.Expunge(m.id, modSeq), encodeSet(set))
}

// count adds a message to the mailbox's counts, or takes it away (n = -1).
func (m *mailbox) count(uid imapnum.UID, rec *messageRecord, n int) {
	i := m.info
	if countsRecent(i, uid) {
		i.Recent += uint32(n)
	}
	i.Exists += uint32(n)
	i.Size += uint64(n) * rec.size
	if rec.system&imapnum.FlagSeen == 0 {
		i.Unseen += uint32(n)
	}
	if rec.system&imapnum.FlagDeleted != 0 {
		i.Deleted += uint32(n)
		i.DeletedSize += uint64(n) * rec.size
	}
}

// flags turns IMAP flags into bits and numbers of the mailbox's keyword table.
// Keywords that the table lacks are added to it if grow is set, else passed
// over. The caller touches the mailbox if a message then uses them.
func (m *mailbox) flags(names []string, grow bool) (system imapnum.SystemFlags, keywords []uint32, refusal *pb.Result) {
	added := 0
	for _, name := range names {
		if strings.HasPrefix(name, `\`) {
			bit, ok := imapnum.ParseSystemFlag(name)
			if !ok {
				m.info.Keywords = m.info.GetKeywords()[:len(m.info.GetKeywords())-added]
				return 0, nil, refuse(pb.Code_CODE_INVALID, "unknown system flag")
			}
			system |= bit
			continue
		}
		k := slices.IndexFunc(m.info.GetKeywords(), func(have string) bool { return strings.EqualFold(have, name) })
		if k < 0 {
			if !grow {
				continue
			}
			var code pb.Code
			switch {
			case !validKeyword(name):
				code = pb.Code_CODE_INVALID
			case len(m.info.GetKeywords()) >= maxKeywords:
				code = pb.Code_CODE_LIMIT
			}
			if code != 0 {
				m.info.Keywords = m.info.GetKeywords()[:len(m.info.GetKeywords())-added]
				return 0, nil, refuse(code, "the mailbox cannot take this keyword")
			}
			k = len(m.info.GetKeywords())
			m.info.Keywords = append(m.info.Keywords, name)
			added++
		}
		keywords = append(keywords, uint32(k))
	}
	slices.Sort(keywords)
	return system, slices.Compact(keywords), nil
}

// refer counts one more reference to a content record.
func (tx *tx) refer(a *account, emailID uint64, n int) error {
	key := a.space.ID(keys.EmailRefs, emailID)
	refs := uint64(0)
	value, err := get(tx.b, key)
	if err != nil {
		return err
	}
	if value != nil {
		if refs, err = decodeUint(value); err != nil {
			return err
		}
	}
	refs += uint64(n)
	if int64(refs) < 0 {
		return fmt.Errorf("references of email %d: %w", emailID, errCorrupt)
	}
	if refs > 0 {
		return tx.set(key, encodeUint(refs))
	}
	return tx.dropEmail(a, emailID)
}
