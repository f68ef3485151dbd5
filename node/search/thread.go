package search

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// ThreadNode is a message in a thread, or, with UID 0, the place of one that is
// not there. Nodes come parent first: Children of them follow, each with its own.
type ThreadNode struct {
	UID      imapnum.UID
	Children int
}

// threaded is what is known of a message that is put into a thread.
type threaded struct {
	uid   imapnum.UID
	date  int64
	base  string // base subject, collated
	reply bool
	id    string
	refs  []string
}

// Thread puts the messages of a set into threads (RFC 5256, 3). No body is opened.
func Thread(ctx context.Context, mb Mailbox, uids imapnum.Set, algorithm pb.ThreadRequest_Algorithm) ([]ThreadNode, error) {
	refs := algorithm == pb.ThreadRequest_ALGORITHM_REFERENCES
	if !refs && algorithm != pb.ThreadRequest_ALGORITHM_ORDEREDSUBJECT {
		return nil, fmt.Errorf("%w: unknown threading algorithm", ErrKey)
	}
	var list []threaded
	err := mb.Messages(uids, func(rec *pb.FetchedMessage) (bool, error) {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		e, err := mb.Email(rec.GetEmailId())
		if err != nil {
			return false, err
		}
		m := threaded{uid: imapnum.UID(rec.GetState().GetUid()), date: sentDate(rec, e)}
		subject, known := decodeWords(e.GetEnvelope().GetSubject())
		base, reply := baseSubject(subject)
		m.base, m.reply = string(collate(base, known)), reply
		if refs {
			m.id, m.refs = messageID(e.GetEnvelope().GetMessageId()), parents(e)
		}
		list = append(list, m)
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("thread: %w", err)
	}
	if refs {
		return byReferences(ctx, list)
	}
	return bySubject(list), nil
}

// messageID returns the first Message-ID of a field, normalised: what is quoted
// for no reason is not (RFC 5256, 3). It is empty if there is none.
func messageID(field []byte) string {
	_, rest, ok := bytes.Cut(field, []byte{'<'})
	id, _, closed := bytes.Cut(rest, []byte{'>'})
	if !ok || !closed {
		return ""
	}
	return normalID(string(id))
}

// normalID takes the quotes from the left side of a Message-ID.
func normalID(id string) string {
	if !strings.HasPrefix(id, `"`) {
		return id
	}
	var sb strings.Builder
	for i := 1; i < len(id); i++ {
		switch c := id[i]; {
		case c == '\\' && i+1 < len(id):
			i++
			sb.WriteByte(id[i])
		case c == '"':
			sb.WriteString(id[i+1:])
			return sb.String()
		default:
			sb.WriteByte(c)
		}
	}
	return id
}

// parents returns the ancestors of a message, oldest first: the ids of its
// References field, or else the first of In-Reply-To.
func parents(e *pb.Email) []string {
	refs := e.GetReferences()
	if n := int(e.GetReferenceIds()); n > 0 && n <= len(refs) {
		refs = refs[:n]
	} else if len(refs) > 1 {
		refs = refs[:1]
	}
	ids := make([]string, len(refs))
	for i, id := range refs {
		ids[i] = normalID(id)
	}
	return ids
}

// bySubject is ORDEREDSUBJECT: threads of one subject, the first message of each
// the parent of all others.
func bySubject(list []threaded) []ThreadNode {
	slices.SortStableFunc(list, func(a, b threaded) int {
		if c := strings.Compare(a.base, b.base); c != 0 {
			return c
		}
		return compareDates(a, b)
	})
	var threads [][]threaded
	for i, m := range list {
		if i == 0 || m.base != list[i-1].base {
			threads = append(threads, nil)
		}
		last := &threads[len(threads)-1]
		*last = append(*last, m)
	}
	slices.SortStableFunc(threads, func(a, b []threaded) int { return compareDates(a[0], b[0]) })
	nodes := make([]ThreadNode, 0, len(list))
	for _, t := range threads {
		nodes = append(nodes, ThreadNode{t[0].uid, len(t) - 1})
		for _, m := range t[1:] {
			nodes = append(nodes, ThreadNode{UID: m.uid})
		}
	}
	return nodes
}

func compareDates(a, b threaded) int {
	switch {
	case a.date != b.date && a.date < b.date:
		return -1
	case a.date != b.date:
		return 1
	}
	return int(int64(a.uid) - int64(b.uid))
}
