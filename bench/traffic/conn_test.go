package traffic_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorumail/quorumail/bench/traffic"
)

func TestDial_Greeting_RFC9051_7_1(t *testing.T) {
	c, err := dial(t, "S: * OK [CAPABILITY IMAP4rev2 IDLE] hello {3}")
	if err != nil {
		t.Fatal(err)
	}
	if !c.Has("idle") || c.Has("QRESYNC") {
		t.Errorf("IDLE %v, QRESYNC %v", c.Has("idle"), c.Has("QRESYNC"))
	}
	if _, err := dial(t, "S: * PREAUTH welcome"); err != nil {
		t.Errorf("PREAUTH: %v", err)
	}
	if _, err := dial(t, "S: * BYE full"); !errors.Is(err, traffic.ErrBye) {
		t.Errorf("BYE: got %v", err)
	}
	for _, bad := range []string{"S: * NO", "S: hello", "S: T1 OK hello", "S: * 3 EXISTS", "RAW: * OK hello\n"} {
		_, err := dial(t, bad)
		var broken *traffic.ProtocolError
		if !errors.As(err, &broken) {
			t.Errorf("%q: got %v, want a ProtocolError", bad, err)
		}
	}
	// A pipe that its other end has closed already takes no deadline either.
	if _, err := dial(t, "EOF: "); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("end: got %v", err)
	}
}

func TestLogin(t *testing.T) {
	c := connect(t,
		`C: T1 LOGIN "a\\b@example.org" "se\"cret"`, "S: T1 OK in",
		"C: T2 CAPABILITY", "S: * CAPABILITY IMAP4rev1 QRESYNC", "S: T2 OK done",
		`C: T3 LOGIN "x" "y"`, "S: T3 OK [CAPABILITY IMAP4rev1 MOVE] in",
		`C: T4 LOGIN "x" "z"`, "S: T4 NO [AUTHENTICATIONFAILED] no",
	)
	if err := c.Login(`a\b@example.org`, `se"cret`); err != nil {
		t.Fatal(err)
	}
	if !c.Has("QRESYNC") || c.Has("LITERAL+") {
		t.Error("capabilities are not those after LOGIN")
	}
	if err := c.Login("x", "y"); err != nil {
		t.Fatal(err)
	}
	if !c.Has("MOVE") || c.Has("QRESYNC") {
		t.Error("capabilities are not those of the answer's code")
	}
	var refused *traffic.StatusError
	if err := c.Login("x", "z"); !errors.As(err, &refused) || refused.Status.Code != "AUTHENTICATIONFAILED" {
		t.Errorf("got %v", err)
	}
	if c.Err() != nil {
		t.Errorf("a refused command has ended the connection: %v", c.Err())
	}
}

func TestCmd_Lines(t *testing.T) {
	c := connect(t,
		"C: T1 SELECT INBOX",
		`S: * FLAGS (\Seen)`, "S: * 2 EXISTS", `S: * OK [UNSEEN 1] text ) " {5}`,
		"S: * 1 FETCH (BODY[] {7}\r\n(\r\n\x00\"é FLAGS ())", "S: * LIST () \"/\" {2}\r\nab",
		`S: T1 OK [READ-WRITE] done`,
		"C: T2 NOOP", `S: T2 BAD [X "a]b"] why`,
	)
	reply, err := c.Cmd("SELECT INBOX")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`FLAGS (\Seen)`, "2 EXISTS", `OK [UNSEEN 1] text ) " {5}`,
		"1 FETCH (BODY[] {7}\r\n(\r\n\x00\"é FLAGS ())", "LIST () \"/\" {2}\r\nab",
	}
	if !slices.Equal(reply.Lines, want) || reply.Status.Code != "READ-WRITE" || c.Exists() != 2 {
		t.Errorf("got %+q, exists %d", reply, c.Exists())
	}
	reply, err = c.Cmd("NOOP")
	if err != nil || reply.Status != (traffic.Status{Word: "BAD", Code: `X "a]b"`, Text: "why"}) {
		t.Errorf("got %+v, %v", reply, err)
	}
}

func TestCmd_LongLines(t *testing.T) {
	long := strings.Repeat("1 ", 50_000)
	c, err := dialWith(t.Context(), t, traffic.Dialer{Buffer: 16}, "S: * OK a greeting that is longer than the buffer",
		"C: T1 SEARCH ALL", "S: * SEARCH "+long+"2", "S: T1 OK done")
	if err != nil {
		t.Fatal(err)
	}
	lines, err := c.OK("SEARCH ALL")
	if err != nil || len(lines) != 1 || lines[0] != "SEARCH "+long+"2" {
		t.Errorf("got %d lines, %v", len(lines), err)
	}
}

func TestRun_StreamsLiterals(t *testing.T) {
	body := strings.Repeat("0123456789", 1000)
	c := connect(t, "C: T1 SELECT x", "S: * 9 EXISTS", "S: T1 OK done",
		"C: T2 FETCH 1:2 (BODY[] FLAGS)",
		"S: * 1 FETCH (BODY[] {10000}\r\n"+body+" FLAGS (\\Seen))", "S: * 2 FETCH (BODY[1] {3}\r\nabc BODY[2] {0}\r\n)", "S: T2 OK done")
	if _, err := c.OK("SELECT x"); err != nil {
		t.Fatal(err)
	}
	var lines, before []string
	var got strings.Builder
	status, err := c.Run(traffic.Handler{
		Line: func(line []byte) error { lines = append(lines, string(line)); return nil },
		Literal: func(at []byte, size int64, r io.Reader) error {
			before = append(before, string(at))
			_, err := io.CopyN(&got, r, min(size, 9_999)) // the rest is dropped
			return err
		},
	}, "FETCH 1:2 (BODY[] FLAGS)")
	if err != nil || !status.OK() {
		t.Fatalf("%v, %v", status, err)
	}
	if want := body[:9999] + "abc"; got.String() != want {
		t.Errorf("read %d octets, want %d", got.Len(), len(want))
	}
	if want := []string{"1 FETCH (BODY[] {0}\r\n FLAGS (\\Seen))", "2 FETCH (BODY[1] {0}\r\n BODY[2] {0}\r\n)"}; !slices.Equal(lines, want) {
		t.Errorf("lines %q", lines)
	}
	if want := []string{"* 1 FETCH (BODY[] ", "* 2 FETCH (BODY[1] ", "* 2 FETCH (BODY[1] {0}\r\n BODY[2] "}; !slices.Equal(before, want) {
		t.Errorf("before %q", before)
	}
}

func TestRun_HandlerErrorEndsTheConnection(t *testing.T) {
	c := connect(t, "C: T1 NOOP", "S: * 1 EXISTS", "S: T1 OK done")
	enough := errors.New("enough")
	if _, err := c.Run(traffic.Handler{Line: func([]byte) error { return enough }}, "NOOP"); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
	if _, err := c.Cmd("NOOP"); !errors.Is(err, enough) {
		t.Errorf("afterwards: got %v", err)
	}
}

func TestPipelining_RFC9051_5_5(t *testing.T) {
	c := connect(t, "C: T1 NOOP", "C: T2 CHECK", "C: T3 NOOP",
		"S: * 1 EXISTS", "S: T2 OK second", "S: * 2 EXISTS", "S: T1 OK first", "S: T3 NO third")
	var all []*traffic.Pending
	for _, command := range []string{"NOOP", "CHECK", "NOOP"} {
		p, err := c.Start("%s", command)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	var seen []string
	c.Observe(func(line []byte) { seen = append(seen, string(line)) })
	for _, step := range []struct {
		p    *traffic.Pending
		want string
	}{{all[2], "NO third"}, {all[0], "OK first"}, {all[1], "OK second"}} {
		reply, err := c.Wait(step.p)
		if err != nil || reply.Status.String() != step.want {
			t.Errorf("got %v, %v; want %s", reply.Status, err, step.want)
		}
	}
	if want := []string{"1 EXISTS", "2 EXISTS"}; !slices.Equal(seen, want) {
		t.Errorf("observed %q", seen)
	}
}

func TestBye(t *testing.T) {
	c := connect(t, "C: T1 NOOP", "S: * BYE [UNAVAILABLE] maintenance", "EOF: ")
	if _, err := c.Cmd("NOOP"); !errors.Is(err, traffic.ErrBye) || !strings.Contains(err.Error(), "maintenance") {
		t.Errorf("got %v", err)
	}
	c = connect(t, "C: T1 LOGOUT", "S: * BYE bye", "S: T1 OK done", "EOF: ")
	if err := c.Logout(); err != nil {
		t.Errorf("LOGOUT: %v", err)
	}
}

func TestConn_Deadline(t *testing.T) {
	c := connect(t, "C: T1 NOOP")
	c.SetTimeout(time.Millisecond)
	if _, err := c.Cmd("NOOP"); err == nil || c.Err() == nil {
		t.Errorf("got %v", err)
	}
}

func TestConn_ContextIsItsLife(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	c, err := dialWith(ctx, t, traffic.Dialer{}, greeting, "C: T1 NOOP")
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Start("NOOP")
	if err != nil {
		t.Fatal(err)
	}
	why := errors.New("the run is over")
	cancel(why)
	if _, err := c.Wait(p); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}

func TestQuote(t *testing.T) {
	for s, want := range map[string]string{
		"": `""`, "a b": `"a b"`, `a"\`: `"a\"\\"`, "a\r\nb": "{4+}\r\na\r\nb", "ü": "{2+}\r\nü",
	} {
		if got := traffic.Quote(s); got != want {
			t.Errorf("Quote(%q) = %q, want %q", s, got, want)
		}
	}
}
