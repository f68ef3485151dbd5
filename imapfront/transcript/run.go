package transcript

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Server is what transcripts run against.
type Server struct {
	// Dial opens a connection to any frontend.
	Dial func() (net.Conn, error)
	// User and Password are of an account that has nothing but an empty INBOX.
	User, Password string
	// Another, needed for transcripts with users, returns another such account with
	// the same password, and may be called for as many as there are.
	Another func() (user string)
	// Between, if set, is called before each step, with its number from 0: the
	// place to kill a leader.
	Between func(step int)
	// Compress has every connection that logs in compressed.
	Compress bool
	// Timeout bounds the wait for each line; default 10 s.
	Timeout time.Duration
}

// Run runs a transcript. The first deviation fails t and ends the run.
func Run(t testing.TB, s *Script, srv Server) {
	t.Helper()
	if srv.Timeout == 0 {
		srv.Timeout = 10 * time.Second
	}
	r := &runner{script: s, srv: srv, vars: known(srv), conns: make([]*conn, s.Connections)}
	defer r.closeAll()
	if err := r.users(); err != nil {
		t.Fatal(err)
	}
	if err := r.prepare(); err != nil {
		t.Fatalf("before the first step: %v", err)
	}
	for i := range s.Steps {
		step := &s.Steps[i]
		if srv.Between != nil {
			srv.Between(i)
		}
		if err := r.run(step); err != nil {
			t.Fatalf("line %d: %d %s %q: %v", step.Line, step.Conn, step.Verb, step.Text, err)
		}
	}
}

// known are the values that a transcript has from the start.
func known(srv Server) vars {
	plain := func(identity string) string {
		return base64.StdEncoding.EncodeToString([]byte(identity + "\x00" + srv.User + "\x00" + srv.Password))
	}
	return vars{
		"user": srv.User, "password": srv.Password,
		"plain": plain(""), "plainself": plain(srv.User), "plainother": plain("other@example.org"),
	}
}

type runner struct {
	script *Script
	srv    Server
	vars   vars
	conns  []*conn
}

// users gives the transcript's users accounts: the first that of the server.
func (r *runner) users() error {
	for i, name := range r.script.Users {
		if _, known := r.vars[name]; known {
			continue
		}
		switch {
		case i == 0:
			r.vars[name] = r.srv.User
		case r.srv.Another == nil:
			return errors.New("no accounts for other users")
		default:
			r.vars[name] = r.srv.Another()
		}
	}
	return nil
}

// user returns the account of a connection, by its name; "0" is the first's.
func (r *runner) user(conn string) string {
	n, err := strconv.Atoi(conn)
	if err != nil || len(r.script.Users) == 0 {
		return r.srv.User
	}
	return r.vars[r.script.Users[max(n-1, 0)]]
}

func (r *runner) closeAll() {
	for _, c := range r.conns {
		if c != nil {
			_ = c.net.Close() // the test is over: nothing depends on it
		}
	}
}

// Message returns the octets of the transcript's message n.
func Message(n int) string {
	return fmt.Sprintf("From: sender%d@example.org\r\nTo: user@example.org\r\nSubject: message %d\r\n"+
		"Date: Mon, %02d Nov 2026 10:00:00 +0000\r\nMessage-ID: <m%d@example.org>\r\n\r\nbody %d\r\n", n, n, (n-1)%28+1, n, n)
}

func (r *runner) prepare() error {
	if r.script.Messages > 0 {
		c, err := r.open("0", "auth")
		if err != nil {
			return err
		}
		for n := 1; n <= r.script.Messages; n++ {
			if err := c.command("append INBOX \x00" + Message(n) + "\x00"); err != nil {
				return err
			}
		}
		if err := c.command("select INBOX"); err != nil {
			return err
		}
		if err := c.command("logout"); err != nil {
			return err
		}
		_ = c.net.Close() // the server has said BYE
	}
	for i := range r.conns {
		c, err := r.open(fmt.Sprint(i+1), r.script.State)
		if err != nil {
			return fmt.Errorf("connection %d: %w", i+1, err)
		}
		r.conns[i] = c
	}
	return nil
}

// open connects and brings the connection to a state.
func (r *runner) open(name, state string) (*conn, error) {
	nc, err := r.srv.Dial()
	if err != nil {
		return nil, err
	}
	c := newConn(nc, name, r.srv.Timeout)
	if state == "none" {
		return c, nil
	}
	greeting, err := c.readLine()
	if err != nil || !strings.HasPrefix(greeting, "* OK ") {
		return nil, fmt.Errorf("greeting: %q, %v", greeting, err)
	}
	if err := c.command(fmt.Sprintf("login %s %s", r.user(name), r.srv.Password)); err != nil {
		return nil, err
	}
	if r.srv.Compress {
		if err := c.compress(); err != nil {
			return nil, err
		}
	}
	var commands []string
	if r.script.Enable != "" {
		commands = append(commands, "enable "+r.script.Enable)
	}
	if state == "selected" {
		commands = append(commands, "select INBOX")
	}
	for _, command := range commands {
		if err := c.command(command); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// command sends a command that must succeed, whatever else is told.
func (c *conn) command(text string) error {
	if err := c.send(text); err != nil {
		return err
	}
	tagged, _, err := c.await()
	if err == nil && !strings.HasPrefix(tagged, "OK") {
		err = fmt.Errorf("%q", tagged)
	}
	if err != nil {
		return fmt.Errorf("%.40q: %w", text, err)
	}
	return nil
}

func (r *runner) run(step *Step) error {
	c := r.conns[step.Conn-1]
	text, err := r.vars.expand(step.Text)
	if step.Verb == "line" {
		text, err = step.Text, nil
	}
	if err != nil {
		return err
	}
	switch step.Verb {
	case "ok", "no", "bad":
		if err := c.send(text); err != nil {
			return err
		}
		return r.answer(c, step, step.Verb)
	case "wait-ok", "wait-no", "wait-bad":
		return r.answer(c, step, step.Verb[len("wait-"):])
	case "send":
		return c.send(text)
	case "idle":
		if err := c.send("IDLE"); err != nil {
			return err
		}
		if line, err := c.awaitContinuation(c.waiting[0]); err != nil || line != "" {
			return fmt.Errorf("want a continuation, got %q, %v", line, err)
		}
		return r.expect(c, step)
	case "done":
		if _, err := io.WriteString(c.net, "DONE\r\n"); err != nil {
			return err
		}
		return r.answer(c, step, "ok")
	case "expect":
		return r.expect(c, step)
	case "raw":
		_, err := io.WriteString(c.net, text)
		return err
	case "line":
		line, err := c.readLine()
		if err != nil || !r.vars.match(text, line) {
			return fmt.Errorf("got %q, %v", line, err)
		}
		return nil
	case "above":
		return above(text)
	case "bye":
		return c.awaitBye()
	case "compress":
		return c.compress()
	case "close":
		return c.net.Close()
	case "open":
		_ = c.net.Close() // may be closed already
		r.conns[step.Conn-1], err = r.open(c.name, r.script.State)
		return err
	}
	return fmt.Errorf("unknown verb")
}

// above compares two numbers.
func above(text string) error {
	var a, b uint64
	if _, err := fmt.Sscanf(text, "%d %d", &a, &b); err != nil {
		return err
	}
	if a <= b {
		return fmt.Errorf("%d is not above %d", a, b)
	}
	return nil
}

func (c *conn) awaitBye() error {
	bye := false
	for {
		line, err := c.readLine()
		if errors.Is(err, io.EOF) && bye {
			return nil
		}
		if err != nil {
			return fmt.Errorf("want BYE and the end: said BYE: %v; %w", bye, err)
		}
		bye = bye || strings.HasPrefix(line, "* BYE")
	}
}

// answer awaits the answer of the oldest command and checks it and what came
// before it.
func (r *runner) answer(c *conn, step *Step, want string) error {
	tagged, untagged, err := c.await()
	if err != nil {
		return fmt.Errorf("%w; untagged so far: %q", err, untagged)
	}
	status, rest, _ := strings.Cut(tagged, " ")
	if !strings.EqualFold(status, want) {
		return fmt.Errorf("answered %q, want %s; untagged: %q", tagged, want, untagged)
	}
	if step.Code == "-" && strings.HasPrefix(rest, "[") {
		return fmt.Errorf("answered %q, want no code", tagged)
	}
	if step.Code != "" && step.Code != "-" {
		code, ok := strings.CutPrefix(rest, "[")
		code, _, closed := strings.Cut(code, "] ")
		if !ok || !closed || !r.vars.match(step.Code, code) {
			return fmt.Errorf("answered %q, want the code [%s]", tagged, step.Code)
		}
	}
	return r.check(step, untagged)
}

// check compares the untagged lines that came with what the step says.
func (r *runner) check(step *Step, lines []string) error {
	for _, not := range step.Not {
		for _, line := range lines {
			if strings.Contains(line, not) {
				return fmt.Errorf("told %q, which it must not be", line)
			}
		}
	}
	at, open := 0, false
	for _, want := range step.Want {
		if want == "..." {
			open = true
			continue
		}
		for ; ; at++ {
			if at == len(lines) {
				return fmt.Errorf("not told %q; untagged: %q", want, lines)
			}
			if r.vars.match(want, lines[at]) {
				break
			}
			if !open {
				return fmt.Errorf("told %q, want %q; untagged: %q", lines[at], want, lines)
			}
		}
		at++
		open = false
	}
	if at < len(lines) && !open {
		return fmt.Errorf("told %q, which is not expected; untagged: %q", lines[at], lines)
	}
	return nil
}

// expect waits until as many untagged lines have come as the step names, and
// checks them.
func (r *runner) expect(c *conn, step *Step) error {
	var lines []string
	for len(lines) < len(step.Want) {
		var line string
		var err error
		if len(c.pending) > 0 {
			line, c.pending = c.pending[0], c.pending[1:]
		} else if line, err = c.readLine(); err != nil {
			return fmt.Errorf("%w; told so far: %q", err, lines)
		}
		lines = append(lines, line)
	}
	return r.check(step, lines)
}
