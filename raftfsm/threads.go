package raftfsm

import (
	"bytes"
	"crypto/sha256"
	"math"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/keys"
)

// Threads (RFC 8474, 5.2). A message belongs to the thread of the messages of
// the account with which it shares a Message-ID: its own or one that it names
// as an ancestor. It is decided once, when the message is appended, and never
// again: a thread once reported must not change. So threads that a later
// message connects stay two, and the message joins the older one.
//
// A thread's id is the email id of its first message. It outlives that message:
// email ids are not given twice.

const (
	// maxThreadIDs bounds the Message-IDs by which a message is found, its own
	// among them: each is a key. Of more ancestors the first, which begins the
	// thread, and the youngest count.
	maxThreadIDs = 22
	// maxThreadID bounds the octets of each; longer ones are no Message-ID that
	// RFC 5322, 2.1.1 would let through on one line.
	maxThreadID = 1000
)

// threadIDs returns the hashes of the Message-IDs that connect a message to
// others, each once, its own first.
func threadIDs(e *pb.Email) [][]byte {
	refs := e.GetReferences()
	if n := len(refs); n > maxThreadIDs-1 {
		refs = append(refs[:1:1], refs[n-maxThreadIDs+2:]...)
	}
	seen := make(map[string]bool)
	var hashes [][]byte
	for _, id := range append([]string{messageID(e.GetEnvelope().GetMessageId())}, refs...) {
		if id == "" || len(id) > maxThreadID || seen[id] {
			continue
		}
		seen[id] = true
		sum := sha256.Sum256([]byte(id))
		hashes = append(hashes, sum[:keys.ThreadHashLen])
	}
	return hashes
}

// messageID takes the identifier out of a Message-ID field's value: what is
// between the brackets, spelled as Email.references are. A field without them
// names nothing.
func messageID(field []byte) string {
	_, rest, ok := bytes.Cut(field, []byte{'<'})
	id, _, closed := bytes.Cut(rest, []byte{'>'})
	if !ok || !closed {
		return ""
	}
	return strings.ToValidUTF8(string(id), "?")
}

// joinThread returns the thread of a new message and enters the message into
// the index.
func (tx *tx) joinThread(a *account, e *pb.Email) (uint64, error) {
	hashes := threadIDs(e)
	if len(hashes) == 0 {
		return e.GetEmailId(), nil
	}
	thread, err := tx.oldestThread(a, hashes)
	if err != nil {
		return 0, err
	}
	thread = min(thread, e.GetEmailId())
	for _, hash := range hashes {
		if err := tx.set(a.space.Thread(hash, thread, e.GetEmailId()), nil); err != nil {
			return 0, err
		}
	}
	return thread, nil
}

// oldestThread returns the oldest thread that has a message under one of some
// hashes; the highest number there is if none has.
func (tx *tx) oldestThread(a *account, hashes [][]byte) (oldest uint64, err error) {
	start, end := a.space.Kind(keys.Thread)
	it, err := tx.b.NewIter(&pebble.IterOptions{LowerBound: start, UpperBound: end})
	if err != nil {
		return 0, err
	}
	defer func() {
		if e := it.Close(); err == nil {
			err = e
		}
	}()
	oldest = math.MaxUint64
	for _, hash := range hashes {
		// Keys go on with the thread: the first is of the oldest.
		first, end := a.space.Threads(hash)
		if !it.SeekGE(first) {
			if err := it.Error(); err != nil {
				return 0, err
			}
			continue
		}
		if bytes.Compare(it.Key(), end) >= 0 {
			continue
		}
		_, thread, _, err := keys.ParseThread(a.space.Rest(it.Key()))
		if err != nil {
			return 0, err
		}
		oldest = min(oldest, thread)
	}
	return oldest, nil
}

// leaveThread takes a message that is collected out of the index. One of before
// there were threads is not in it.
func (tx *tx) leaveThread(a *account, e *pb.Email) error {
	if e.GetThreadId() == 0 {
		return nil
	}
	for _, hash := range threadIDs(e) {
		if err := tx.del(a.space.Thread(hash, e.GetThreadId(), e.GetEmailId())); err != nil {
			return err
		}
	}
	return nil
}
