package main

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/quorumail/quorumail/bench/traffic"
)

// answer is what a server said to one step, normalised: the tagged response, then
// the untagged ones in their order.
type answer []string

// player runs a script on one server.
type player struct {
	ctx   context.Context
	addr  string
	user  string
	conns map[string]*traffic.Conn
	idle  map[string]*idling
	seen  map[string]uint64 // the last value told, by its name
	vars  map[string]uint64 // what "let" has kept
}

// idling is a connection's IDLE and what it was told until now.
type idling struct {
	pending *traffic.Pending
	lines   []string
}

// untilTimeout bounds the wait of an UNTIL.
const untilTimeout = 20 * time.Second

// play runs the script: each step when the one before was answered.
func play(ctx context.Context, s script, addr, user string, messages [][]byte) ([]answer, error) {
	p := &player{
		ctx: ctx, addr: addr, user: user,
		conns: make(map[string]*traffic.Conn), idle: make(map[string]*idling),
		seen: make(map[string]uint64), vars: make(map[string]uint64),
	}
	defer func() {
		for _, c := range p.conns {
			c.Close()
		}
	}()
	c, err := p.conn("1")
	if err != nil {
		return nil, err
	}
	if err := fill(c, messages); err != nil {
		return nil, err
	}
	var list []answer
	for _, st := range s.steps {
		a, err := p.step(st)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", st, err)
		}
		list = append(list, a)
	}
	return list, nil
}

// conn is the connection of a number, logged in.
func (p *player) conn(number string) (*traffic.Conn, error) {
	if c := p.conns[number]; c != nil {
		return c, nil
	}
	c, err := traffic.Dial(p.ctx, p.addr, nil)
	if err != nil {
		return nil, err
	}
	p.conns[number] = c
	return c, c.Login(p.user, password)
}

// step runs a step. "let NAME = VALUE" keeps the value of that name which was told
// last, for $(NAME); "UNTIL TEXT" waits for a line of IDLE that has the text.
func (p *player) step(st step) (answer, error) {
	c, err := p.conn(st.conn)
	if err != nil {
		return nil, err
	}
	switch st.verb() {
	case "LET":
		return nil, p.let(st.text)
	case "IDLE":
		pending, err := c.StartIdle()
		p.idle[st.conn] = &idling{pending: pending}
		return nil, err
	case "UNTIL":
		return nil, p.until(c, p.idle[st.conn], strings.TrimPrefix(st.text, "UNTIL "))
	case "DONE":
		i := p.idle[st.conn]
		reply, err := c.EndIdle(i.pending)
		reply.Lines = append(i.lines, reply.Lines...)
		return p.note(st, reply), err
	}
	command, err := st.command(p.vars)
	if err != nil {
		return nil, err
	}
	reply, err := c.Cmd("%s", command)
	return p.note(st, reply), err
}

func (p *player) let(text string) error {
	name, value, _ := strings.Cut(strings.TrimPrefix(text, "let "), " = ")
	v, ok := p.seen[value]
	if !ok {
		return fmt.Errorf("no %s was told", value)
	}
	p.vars[name] = v
	return nil
}

func (p *player) until(c *traffic.Conn, i *idling, text string) error {
	return c.AwaitIdle(i.pending, time.Now().Add(untilTimeout), func(line []byte) error {
		i.lines = append(i.lines, string(line))
		if bytes.Contains(line, []byte(text)) {
			return traffic.ErrStop
		}
		return nil
	})
}

// told are values that "let" can keep.
var told = regexp.MustCompile(`\b(UIDVALIDITY|UIDNEXT|HIGHESTMODSEQ|MODSEQ) \(?(\d+)`)

// note keeps the values that were told, and normalises the reply.
func (p *player) note(st step, reply traffic.Reply) answer {
	for _, line := range append(reply.Lines, reply.Status.String()) {
		for _, m := range told.FindAllStringSubmatch(line, -1) {
			if v, err := strconv.ParseUint(m[2], 10, 64); err == nil {
				p.seen[m[1]] = v
			}
		}
	}
	return normalise(st.verb(), reply, p.vars)
}

// fill appends the messages to INBOX, each a day after the one before.
func fill(c *traffic.Conn, messages [][]byte) error {
	date := time.Date(2024, time.May, 1, 12, 0, 0, 0, time.UTC)
	for i, m := range messages {
		if _, err := c.Append("INBOX", nil, date.AddDate(0, 0, i), int64(len(m)), bytes.NewReader(m)); err != nil {
			return err
		}
	}
	return nil
}
