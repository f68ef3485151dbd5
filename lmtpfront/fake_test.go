package lmtpfront

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/node/client/message"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// cluster is storage in maps.
type cluster struct {
	mu       sync.Mutex
	accounts map[string]*account
	// down is the error of every request; refuse the code of every append.
	down   error
	refuse pb.Code
	// hold, if set, blocks appends until it is closed or their context ends.
	hold chan struct{}
	held chan struct{} // gets one for each append that is held
}

type account struct {
	c      *cluster
	inbox  []*pb.AppendMessage
	seen   map[string]bool
	staged map[string][]*pb.BodyChunk
}

func newCluster(names ...string) *cluster {
	c := &cluster{accounts: make(map[string]*account), held: make(chan struct{}, 100)}
	for _, n := range names {
		c.accounts[n] = &account{c: c, seen: make(map[string]bool), staged: make(map[string][]*pb.BodyChunk)}
	}
	return c
}

// storage is one account's, by name: it need not exist.
type storage struct {
	c    *cluster
	name string
}

func (c *cluster) storage(name string) Storage { return storage{c, name} }

func (s storage) account() (*account, error) {
	if s.c.down != nil {
		return nil, s.c.down
	}
	if a := s.c.accounts[s.name]; a != nil {
		return a, nil
	}
	return nil, client.ErrNoAccount
}

func (s storage) GetAccount(context.Context) (*pb.GetAccountResponse, error) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	_, err := s.account()
	return &pb.GetAccountResponse{}, err
}

func (s storage) PutChunk(_ context.Context, id []byte, chunk *pb.BodyChunk) error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	a, err := s.account()
	if err == nil {
		a.staged[string(id)] = append(a.staged[string(id)], chunk)
	}
	return err
}

func (s storage) Propose(ctx context.Context, e *pb.Entry) (*pb.Result, error) {
	s.c.mu.Lock()
	hold := s.c.hold
	s.c.mu.Unlock()
	if hold != nil {
		s.c.held <- struct{}{}
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", client.ErrUnavailable, ctx.Err())
		}
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	a, err := s.account()
	if err != nil {
		return nil, err
	}
	if s.c.refuse != pb.Code_CODE_UNSPECIFIED {
		return &pb.Result{Code: s.c.refuse}, nil
	}
	op := e.GetAppend()
	id := string(op.GetDeliveryId())
	if a.seen[id] && id != "" {
		return &pb.Result{Code: pb.Code_CODE_OK, Repeated: true}, nil
	}
	a.seen[id] = true
	a.inbox = append(a.inbox, proto.CloneOf(op.GetMessages()[0]))
	return &pb.Result{Code: pb.Code_CODE_OK}, nil
}

// set changes how the cluster behaves.
func (c *cluster) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

// inbox returns the octets of an account's messages.
func (c *cluster) inbox(t testing.TB, name string) []string {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.accounts[name]
	var list []string
	for _, m := range a.inbox {
		chunks := m.GetInline()
		if len(chunks) == 0 {
			chunks = slices.Clone(a.staged[string(m.GetEmail().GetBodyId())])
			slices.SortFunc(chunks, func(x, y *pb.BodyChunk) int { return int(x.GetOffset()) - int(y.GetOffset()) })
		}
		raw, err := io.ReadAll(message.Open(0, m.GetEmail().GetSize(), func() (*pb.BodyChunk, error) {
			if len(chunks) == 0 {
				return nil, io.EOF
			}
			defer func() { chunks = chunks[1:] }()
			return chunks[0], nil
		}))
		if err != nil || uint64(len(raw)) != m.GetEmail().GetSize() {
			t.Fatalf("%d octets of %d: %v", len(raw), m.GetEmail().GetSize(), err)
		}
		list = append(list, string(raw))
	}
	return list
}

// start starts a server on a loopback port and returns its address.
func start(t testing.TB, s *Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// mta is a client under test's control.
type mta struct {
	*textproto.Conn
	nc net.Conn
	t  testing.TB
}

// dial connects, without a greeting.
func dial(t testing.TB, addr string) *mta {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return &mta{textproto.NewConn(nc), nc, t}
}

// connect connects and greets.
func connect(t testing.TB, addr string) *mta {
	t.Helper()
	c := dial(t, addr)
	c.expect(220)
	c.do(250, "LHLO mta.example.org")
	return c
}

func (c *mta) expect(code int) string {
	c.t.Helper()
	_, msg, err := c.ReadResponse(code)
	if err != nil {
		c.t.Fatalf("%v, want %d", err, code)
	}
	return msg
}

func (c *mta) do(code int, format string, args ...any) string {
	c.t.Helper()
	if err := c.PrintfLine(format, args...); err != nil {
		c.t.Fatal(err)
	}
	_, msg, err := c.ReadResponse(code)
	if err != nil {
		c.t.Fatalf("%.60s: %v, want %d", fmt.Sprintf(format, args...), err, code)
	}
	return msg
}

// envelope begins a transaction.
func (c *mta) envelope(to ...string) {
	c.t.Helper()
	c.do(250, "MAIL FROM:<sender@example.net>")
	for _, r := range to {
		c.do(250, "RCPT TO:<%s>", r)
	}
}

// data sends a message and returns the answers, one a recipient.
func (c *mta) data(recipients int, text string) []string {
	c.t.Helper()
	c.do(354, "DATA")
	w := c.DotWriter()
	_, err := w.Write([]byte(text))
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return c.answers(recipients)
}

func (c *mta) answers(n int) []string {
	c.t.Helper()
	var answers []string
	for range n {
		line, err := c.ReadLine()
		if err != nil {
			c.t.Fatal(err)
		}
		answers = append(answers, line)
	}
	return answers
}

// check compares the codes of answers.
func (c *mta) check(what string, answers []string, codes ...string) {
	c.t.Helper()
	for i, code := range codes {
		if len(answers) != len(codes) || !strings.HasPrefix(answers[i], code+" ") {
			c.t.Errorf("%s: %q, want %q", what, answers, codes)
			return
		}
	}
}

// filler is n octets of text in lines.
func filler(n int) string {
	return string(bytes.Repeat([]byte("0123456789abcde 0123456789abcde 0123456789abcde 0123456789abcd\r\n"), n/64))
}
