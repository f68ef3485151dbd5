package search_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorumail/quorumail/node/client/message"
	"github.com/quorumail/quorumail/node/search"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// mailbox is a search.Mailbox in maps, which counts what is read of it.
type mailbox struct {
	t        testing.TB
	keywords []string
	messages []*stored
	records  int // records read
	emails   int // content records read
	chunks   int // chunks read
	bodies   int // chunks that are not of a header
}

type stored struct {
	rec    *pb.FetchedMessage
	email  *pb.Email
	chunks []*pb.BodyChunk
	raw    string
}

// uploader keeps staged chunks.
type uploader struct {
	mu     sync.Mutex
	chunks []*pb.BodyChunk
}

func (u *uploader) PutChunk(_ context.Context, _ []byte, c *pb.BodyChunk) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.chunks = append(u.chunks, c)
	return nil
}

func (mb *mailbox) add(raw string, change func(*pb.FetchedMessage)) *stored {
	mb.t.Helper()
	if !strings.Contains(raw, "\r\n") {
		raw = strings.ReplaceAll(raw, "\n", "\r\n")
	}
	var up uploader
	m, err := message.Read(context.Background(), strings.NewReader(raw), &up, message.Options{})
	if err != nil {
		mb.t.Fatal(err)
	}
	slices.SortFunc(up.chunks, func(a, b *pb.BodyChunk) int { return int(a.GetOffset()) - int(b.GetOffset()) })
	uid := uint32(len(mb.messages) + 1)
	s := &stored{
		rec: &pb.FetchedMessage{
			State: &pb.MessageState{Uid: uid, ModSeq: uint64(uid) * 10},
			Size:  m.GetEmail().GetSize(), EmailId: uint64(uid),
		},
		email: m.GetEmail(), chunks: append(m.GetInline(), up.chunks...), raw: raw,
	}
	if change != nil {
		change(s.rec)
	}
	mb.messages = append(mb.messages, s)
	return s
}

func (mb *mailbox) Info() *pb.MailboxInfo { return &pb.MailboxInfo{Keywords: mb.keywords} }

func (mb *mailbox) UIDs() (imapnum.Set, error) { return mb.Flagged(0) }

func (mb *mailbox) Flagged(f imapnum.SystemFlags) (imapnum.Set, error) {
	var b imapnum.SetBuilder
	for _, s := range mb.messages {
		if imapnum.SystemFlags(s.rec.GetState().GetSystemFlags())&f == f {
			b.Add(imapnum.UID(s.rec.GetState().GetUid()))
		}
	}
	return b.Set(), nil
}

func (mb *mailbox) Messages(set imapnum.Set, fn func(*pb.FetchedMessage) (bool, error)) error {
	for _, s := range mb.messages {
		if !set.Contains(imapnum.UID(s.rec.GetState().GetUid())) {
			continue
		}
		mb.records++
		if more, err := fn(s.rec); err != nil || !more {
			return err
		}
	}
	return nil
}

func (mb *mailbox) Email(id uint64) (*pb.Email, error) {
	mb.emails++
	return mb.messages[id-1].email, nil
}

func (mb *mailbox) Chunks(bodyID []byte, offset, length uint64, fn func(*pb.BodyChunk) (bool, error)) error {
	for _, s := range mb.messages {
		if !bytes.Equal(s.email.GetBodyId(), bodyID) {
			continue
		}
		for _, c := range s.chunks {
			if c.GetOffset() >= offset+length || c.GetOffset()+uint64(c.GetRawSize()) <= offset {
				continue
			}
			mb.chunks++
			if c.GetOffset() >= s.email.GetStructure().GetHeaderSize() {
				mb.bodies++
			}
			if more, err := fn(c); err != nil || !more {
				return err
			}
		}
	}
	return nil
}

func (mb *mailbox) search(key *pb.SearchKey) (search.Result, error) {
	return search.Run(context.Background(), key, mb, now, search.Part{})
}

// now is when the searches of these tests run.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func and(keys ...*pb.SearchKey) *pb.SearchKey {
	return &pb.SearchKey{Key: &pb.SearchKey_And{And: &pb.SearchKeyList{Keys: keys}}}
}

func or(keys ...*pb.SearchKey) *pb.SearchKey {
	return &pb.SearchKey{Key: &pb.SearchKey_Or{Or: &pb.SearchKeyList{Keys: keys}}}
}

func not(key *pb.SearchKey) *pb.SearchKey { return &pb.SearchKey{Key: &pb.SearchKey_Not{Not: key}} }

func everything() *pb.SearchKey { return &pb.SearchKey{Key: &pb.SearchKey_All{All: true}} }

func flag(f string) *pb.SearchKey { return &pb.SearchKey{Key: &pb.SearchKey_Flag{Flag: f}} }

func uids(list ...imapnum.UID) *pb.SearchKey {
	return &pb.SearchKey{Key: &pb.SearchKey_Uids{Uids: &pb.UidSet{Packed: imapnum.SetOf(list...).Pack()}}}
}

func header(name, value string) *pb.SearchKey {
	return &pb.SearchKey{Key: &pb.SearchKey_Header{Header: &pb.HeaderKey{Name: name, Value: value}}}
}

func body(s string) *pb.SearchKey { return &pb.SearchKey{Key: &pb.SearchKey_Body{Body: s}} }

func text(s string) *pb.SearchKey { return &pb.SearchKey{Key: &pb.SearchKey_Text{Text: s}} }

func larger(n uint64) *pb.SearchKey { return &pb.SearchKey{Key: &pb.SearchKey_Larger{Larger: n}} }

func smaller(n uint64) *pb.SearchKey { return &pb.SearchKey{Key: &pb.SearchKey_Smaller{Smaller: n}} }

func modSeq(n uint64) *pb.SearchKey { return &pb.SearchKey{Key: &pb.SearchKey_ModSeq{ModSeq: n}} }

func thread(id uint64) *pb.SearchKey { return &pb.SearchKey{Key: &pb.SearchKey_ThreadId{ThreadId: id}} }

// days are from <= day < before; nil: no bound.
func days(from, before *int64) *pb.DateKey { return &pb.DateKey{FromDay: from, BeforeDay: before} }

func day(y int, m time.Month, d int) *int64 {
	n := time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / (24 * 60 * 60)
	return &n
}
