package message

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// store is an Uploader that keeps what it is given.
type store struct {
	mu     sync.Mutex
	chunks map[uint64]*pb.BodyChunk
}

func (s *store) PutChunk(_ context.Context, id []byte, c *pb.BodyChunk) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(id) != 16 {
		return fmt.Errorf("body id %x", id)
	}
	if s.chunks == nil {
		s.chunks = make(map[uint64]*pb.BodyChunk)
	}
	s.chunks[c.GetOffset()] = c
	return nil
}

// inOrder returns the chunks from the start on, up to the first that is missing.
func (s *store) inOrder() (chunks []*pb.BodyChunk) {
	for at := uint64(0); s.chunks[at] != nil; at += uint64(s.chunks[at].GetRawSize()) {
		chunks = append(chunks, s.chunks[at])
	}
	return chunks
}

// read reads a message and checks what holds for every one.
func read(t testing.TB, r io.Reader, opts Options) (*pb.Email, []*pb.BodyChunk) {
	t.Helper()
	var s store
	m, err := Read(context.Background(), r, &s, opts)
	if err != nil {
		t.Fatal(err)
	}
	chunks := append(m.GetInline(), s.inOrder()...)
	e := m.GetEmail()
	var at uint64
	stored, head := 0, false
	for _, c := range chunks {
		if c.GetOffset() != at || c.GetRawSize() == 0 || c.GetRawSize() > maxChunk {
			t.Fatalf("chunk of %d octets at %d, expected at %d", c.GetRawSize(), c.GetOffset(), at)
		}
		at += uint64(c.GetRawSize())
		head = head || at == e.GetStructure().GetHeaderSize()
		stored += len(c.GetData())
	}
	if at != e.GetSize() || !head && e.GetStructure().GetHeaderSize() > 0 {
		t.Fatalf("%d octets in chunks, size %d; the header of %d octets ends a chunk: %v", at, e.GetSize(), e.GetStructure().GetHeaderSize(), head)
	}
	if len(m.GetInline()) > 0 && (stored > maxInline || len(s.chunks) > 0) {
		t.Fatalf("%d octets inline, %d chunks staged too", stored, len(s.chunks))
	}
	checkTree(t, e.GetStructure(), 0, e.GetSize(), 0)
	if record, err := proto.Marshal(e); err != nil || len(record) > 2*maxDescribe+maxParts*300 {
		t.Fatalf("the content record has %d octets: %v", len(record), err)
	}
	if n := len([]rune(e.GetPreview())); n > previewLength {
		t.Fatalf("the preview has %d characters", n)
	}
	return e, chunks
}

// checkTree verifies that each part lies inside its parent and that BODYSTRUCTURE
// can be printed.
func checkTree(t testing.TB, p *pb.BodyPart, start, end uint64, depth int) {
	t.Helper()
	if p.GetHeaderOffset() < start || p.GetBodyOffset() != p.GetHeaderOffset()+p.GetHeaderSize() || p.GetBodyOffset()+p.GetSize() > end {
		t.Fatalf("part %v is not in [%d, %d)", p, start, end)
	}
	if p.GetType() == "" || p.GetSubtype() == "" || p.GetEncoding() == "" || depth > maxDepth+1 || p.GetLines() > p.GetSize() {
		t.Fatalf("part %v at depth %d", p, depth)
	}
	isMessage := p.GetType() == "MESSAGE" && (p.GetSubtype() == "RFC822" || p.GetSubtype() == "GLOBAL")
	switch n := len(p.GetParts()); {
	case p.GetType() == "MULTIPART" && n == 0, isMessage && n != 1, isMessage != (p.GetEnvelope() != nil), p.GetType() != "MULTIPART" && !isMessage && n > 0:
		t.Fatalf("part %v has %d parts", p, n)
	}
	start = p.GetBodyOffset()
	for _, c := range p.GetParts() {
		checkTree(t, c, start, p.GetBodyOffset()+p.GetSize(), depth+1)
		start = c.GetBodyOffset() + c.GetSize() // siblings do not overlap
	}
}

// octets puts chunks together again.
func octets(t testing.TB, chunks []*pb.BodyChunk, offset, length uint64) string {
	t.Helper()
	got, err := io.ReadAll(Open(offset, length, sequence(chunks)))
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

func sequence(chunks []*pb.BodyChunk) func() (*pb.BodyChunk, error) {
	return func() (*pb.BodyChunk, error) {
		if len(chunks) == 0 {
			return nil, io.EOF
		}
		c := chunks[0]
		chunks = chunks[1:]
		return c, nil
	}
}

// outline shows a tree with the octets of each body and their lines.
func outline(raw string, p *pb.BodyPart) string {
	s := fmt.Sprintf("%s/%s", p.GetType(), p.GetSubtype())
	if len(p.GetParts()) == 0 {
		return s + fmt.Sprintf("%q:%d", raw[p.GetBodyOffset():p.GetBodyOffset()+p.GetSize()], p.GetLines())
	}
	for i, c := range p.GetParts() {
		s += string("( "[min(i, 1)]) + outline(raw, c)
	}
	return s + ")"
}

// stepReader gives n octets at a time.
type stepReader struct {
	b []byte
	n int
}

func (r *stepReader) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.b[:min(r.n, len(r.b))])
	r.b = r.b[n:]
	return n, nil
}
