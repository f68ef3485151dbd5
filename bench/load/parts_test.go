package load

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	netmail "net/mail"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorumail/quorumail/bench/traffic"
	"github.com/quorumail/quorumail/proto/imapnum"
)

func TestMail_IsTheSameForTheSameSeed(t *testing.T) {
	a, b, c := newMail(1), newMail(1), newMail(2)
	for range 3 {
		x := a.message(5000)
		if !bytes.Equal(x, b.message(5000)) {
			t.Error("the same seed made another message")
		}
		if bytes.Equal(x, c.message(5000)) {
			t.Error("another seed made the same message")
		}
	}
}

func TestMail_IsValid(t *testing.T) {
	gen := newMail(3)
	for _, size := range []int{700, 701, 1 << 10, 4<<10 + 1, 64 << 10, 100_000} {
		b := gen.message(size)
		if len(b) != size {
			t.Errorf("%d octets, want %d", len(b), size)
		}
		bare := strings.ReplaceAll(string(b), "\r\n", "")
		if strings.ContainsAny(bare, "\r\n") || !bytes.HasSuffix(b, []byte("\r\n")) {
			t.Errorf("message of %d: line ends other than CRLF", size)
		}
		m, err := netmail.ReadMessage(bytes.NewReader(b))
		if err != nil {
			t.Errorf("message of %d: %v", size, err)
			continue
		}
		if _, err := m.Header.Date(); err != nil || m.Header.Get("Message-Id") == "" {
			t.Errorf("message of %d: %v, %v", size, err, m.Header)
		}
	}
	for range 1000 {
		if n := gen.sizeBetween(4<<10, 64<<10); n < 4<<10-1 || n > 64<<10 {
			t.Fatalf("size %d", n)
		}
	}
	r, size := labelled([]byte("abc"), "1.2")
	if got, _ := io.ReadAll(r); string(got) != "X-Bench: 1.2\r\nabc" || int64(len(got)) != size {
		t.Errorf("labelled %q of %d", got, size)
	}
}

func TestParallel(t *testing.T) {
	var sum atomic.Int64
	if err := parallel(t.Context(), 100, 7, func(_ context.Context, i int) error { sum.Add(int64(i)); return nil }); err != nil || sum.Load() != 4950 {
		t.Errorf("%v, sum %d", err, sum.Load())
	}
	odd := errors.New("odd")
	err := parallel(t.Context(), 100, 2, func(ctx context.Context, i int) error {
		if i == 0 {
			return odd
		}
		<-ctx.Done() // the others are told
		return ctx.Err()
	})
	if !errors.Is(err, odd) {
		t.Errorf("got %v", err)
	}
}

func TestClosedLoop_Bounds(t *testing.T) {
	conns := make([]*traffic.Conn, 3)
	var done atomic.Int64
	op := func(context.Context, *traffic.Conn, int, int) error { done.Add(1); return nil }
	s, err := closedLoop(t.Context(), conns, bound{time.Hour, 10}, op)
	if err != nil || s.Ops != 12 || done.Load() != 12 { // 4 each
		t.Errorf("%d operations, %v", s.Ops, err)
	}
	if _, err := closedLoop(t.Context(), conns, bound{0, 10}, op); err == nil {
		t.Error("a round without an operation is no measurement")
	}
	odd := errors.New("odd")
	if _, err := closedLoop(t.Context(), conns, bound{time.Hour, 10}, func(context.Context, *traffic.Conn, int, int) error { return odd }); !errors.Is(err, odd) {
		t.Errorf("got %v", err)
	}
}

// scripted is a connection to a server that answers each command with the next
// of answers, in which T stands for the tag.
func scripted(t *testing.T, answers ...string) *traffic.Conn {
	t.Helper()
	client, server := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer server.Close()
		io.WriteString(server, "* OK hello\r\n")
		r := bufio.NewReader(server)
		for _, a := range answers {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			tag, _, _ := strings.Cut(line, " ")
			io.WriteString(server, strings.ReplaceAll(strings.ReplaceAll(a, "\n", "\r\n"), "T ", tag+" "))
		}
	}()
	t.Cleanup(func() { client.Close(); <-done })
	c, err := (&traffic.Dialer{}).New(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSelectState_RFC7162_3_2_5(t *testing.T) {
	c := scripted(t, "* ENABLED QRESYNC\nT OK done\n",
		"* 9 EXISTS\n* OK [UIDVALIDITY 7] x\n* OK [HIGHESTMODSEQ 50] x\n* VANISHED (EARLIER) 2:4,8\n"+
			"* 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (40))\n* 3 FETCH (MODSEQ (41) UID 6 FLAGS ())\nT OK done\n")
	if _, err := c.OK("ENABLE QRESYNC"); err != nil {
		t.Fatal(err)
	}
	st, err := selectState(c, "x", " (QRESYNC (7 30))")
	if err != nil {
		t.Fatal(err)
	}
	if st.uidValidity != 7 || st.highest != 50 || st.exists != 9 || st.fetched.String() != "1,6" || st.vanished.String() != "2:4,8" {
		t.Errorf("got %+v", st)
	}
	for _, test := range []struct {
		changed, expunged []imapnum.UID
		ok                bool
	}{
		{[]imapnum.UID{1, 6}, []imapnum.UID{2, 8}, true}, // more may have vanished
		{[]imapnum.UID{1, 6, 7}, []imapnum.UID{2}, false},
		{[]imapnum.UID{1}, []imapnum.UID{2}, false},
		{[]imapnum.UID{1, 6}, []imapnum.UID{5}, false},
	} {
		want := changes{imapnum.SetOf(test.changed...), imapnum.SetOf(test.expunged...)}
		if err := want.check(st); (err == nil) != test.ok {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

func TestSelectState_Refuses(t *testing.T) {
	for _, answer := range []string{
		"* 1 EXISTS\nT OK done\n",
		"* 1 EXISTS\n* OK [UIDVALIDITY 7] x\n* OK [NOMODSEQ] x\nT OK done\n",
		"* 1 EXISTS\n* OK [UIDVALIDITY 99999999999] x\n* OK [HIGHESTMODSEQ 5] x\nT OK done\n",
		"* 1 EXISTS\n* OK [UIDVALIDITY 7] x\n* OK [HIGHESTMODSEQ 5] x\n* 1 FETCH (FLAGS ())\nT OK done\n",
		"T NO gone\n",
	} {
		if st, err := selectState(scripted(t, answer), "x", ""); err == nil {
			t.Errorf("%q: got %+v", answer, st)
		}
	}
}

func TestFetchBody_ChecksTheSize(t *testing.T) {
	answer := "* 1 EXISTS\n* 1 FETCH (BODY[] {5}\nhello)\nT OK done\n"
	// An EXISTS first, since the client is strict.
	if err := fetchBody(scripted(t, answer), 1, 5); err != nil {
		t.Error(err)
	}
	if err := fetchBody(scripted(t, answer), 1, 6); err == nil {
		t.Error("a body of another size is taken")
	}
	if err := fetchBody(scripted(t, "T NO gone\n"), 1, 0); err == nil {
		t.Error("NO is taken")
	}
}

func TestMemory(t *testing.T) {
	n, err := memoryOf([]int{os.Getpid()})
	if err != nil && !errors.Is(err, errNoMemory) || err == nil && n < 1<<20 {
		t.Errorf("this process takes %d octets, %v", n, err)
	}
	if pid, parent, ok := parseStat("12 (a) b (c)) S 7 12 0"); !ok || pid != 12 || parent != 7 {
		t.Errorf("got %d, %d, %v", pid, parent, ok)
	}
	for _, bad := range []string{"", "12 S 7", "x (a) S 7", "12 (a) S"} {
		if _, _, ok := parseStat(bad); ok {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestScaleOf(t *testing.T) {
	for name := range Scales() {
		if s, err := ScaleOf(name); err != nil || s.Name != name {
			t.Errorf("%s: %v, %v", name, s.Name, err)
		}
	}
	if _, err := ScaleOf("huge"); err == nil {
		t.Error("huge is a scale")
	}
}
