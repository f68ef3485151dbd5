package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"testing"
)

// chunked reads at most sizes[i] octets at a time, in turn.
type chunked struct {
	r     io.Reader
	sizes []byte
	i     int
}

func (c *chunked) Read(p []byte) (int, error) {
	n := len(p)
	if len(c.sizes) > 0 {
		n = min(n, int(c.sizes[c.i%len(c.sizes)])+1)
		c.i++
	}
	return c.r.Read(p[:n])
}

// transcript reads everything and returns what came of it, a line an event.
func transcript(t *testing.T, src io.Reader, size int, utf8 bool) []string {
	limits := Limits{Line: 500, Literal: 100, Append: 1000}
	var events []string
	r := NewReader(src, limits, func() error { events = append(events, "asked"); return nil })
	r.SetUTF8(utf8)
	for range size + 2 {
		tag, cmd, err := r.ReadCommand()
		events = append(events, fmt.Sprintf("%s %T %v", tag, cmd, err))
		var syntax *SyntaxError
		if errors.As(err, &syntax) {
			if syntax.Tag != tag || tag == "" || syntax.Text == "" {
				t.Fatalf("%q: %+v", tag, syntax)
			}
			continue
		}
		if err != nil {
			return events
		}
		stable(t, cmd, utf8)
		if cap(r.line) > 8*limits.Line {
			t.Fatalf("a line of %d octets", cap(r.line))
		}
		if first, ok := firstMessage(cmd); ok {
			if err := readAppend(r, *first, &events); err != nil && !errors.As(err, &syntax) {
				return append(events, err.Error())
			}
		}
	}
	t.Fatal("more commands than octets")
	return nil
}

// firstMessage returns what a command announces.
func firstMessage(cmd Command) (*AppendMessage, bool) {
	switch cmd := cmd.(type) {
	case Append:
		return &cmd.First, true
	case Replace:
		return &cmd.Message, true
	}
	return nil, false
}

// inUTC returns a command whose date is in UTC: zones compare by their place in
// memory.
func inUTC(cmd Command) Command {
	switch c := cmd.(type) {
	case Append:
		c.First.Date = c.First.Date.UTC()
		return c
	case Replace:
		c.Message.Date = c.Message.Date.UTC()
		return c
	}
	return cmd
}

// readAppend reads messages that are not too large, and refuses others.
func readAppend(r *Reader, msg AppendMessage, events *[]string) error {
	more := true
	for more {
		if msg.Literal.Size > r.limits.Append {
			*events = append(*events, "refused")
			return r.RefuseLiteral()
		}
		for catenating := msg.Catenate; catenating; {
			part, more, err := r.CatenatePart()
			*events = append(*events, fmt.Sprintf("%+v, %v, %v", part, more, err))
			if err != nil {
				return err
			}
			if part.Literal.Size > r.limits.Append {
				return r.RefuseLiteral()
			}
			if more && part.URL == "" {
				if err := readBody(r, events); err != nil {
					return err
				}
			}
			catenating = more
		}
		if !msg.Catenate {
			*events = append(*events, fmt.Sprintf("%+v", msg))
			if err := readBody(r, events); err != nil {
				return err
			}
		}
		var err error
		if msg, more, err = r.AppendMessage(); err != nil {
			*events = append(*events, err.Error())
			return err
		}
	}
	return nil
}

func readBody(r *Reader, events *[]string) error {
	body, err := r.LiteralBody()
	if err != nil {
		return err
	}
	octets, err := io.ReadAll(body)
	*events = append(*events, fmt.Sprintf("%q", octets))
	return err
}

// stable checks that what is printed of a command is that command.
func stable(t *testing.T, cmd Command, utf8 bool) {
	line := printCommand(cmd, utf8)
	cmd = inUTC(cmd)
	r := NewReader(bytes.NewReader([]byte("t "+line+"\r\n")), Limits{}, nil)
	r.SetUTF8(utf8)
	_, again, err := r.ReadCommand()
	if again = inUTC(again); err != nil || !reflect.DeepEqual(again, cmd) {
		t.Fatalf("%+v, printed %q, is %+v, %v", cmd, line, again, err)
	}
}

func FuzzReadCommand(f *testing.F) {
	for _, s := range []string{
		"a login bob {3}\r\nabc\r\n", "a uid fetch 1:* (flags body.peek[1.2.header.fields (a b)]<1.2>) (changedsince 5 vanished)\r\n",
		"a append x (\\Seen) {3+}\r\nabc (a) {1}\r\nx\r\n", "a search or (not seen) uid 1:* since 1-Jan-2020\r\n",
		"a select x (qresync (1 2 3:4 (1 2)))\r\n", "a list (subscribed) \"\" (a b) return (status (messages))\r\n",
		"a store 1 (unchangedsince 5) +flags.silent (a \\Seen)\r\n", "a uid sort return (min all) (reverse date subject) utf-8 modseq 3\r\na thread references utf-8 all\r\n", "a id (\"a\" NIL)\r\n", "a append x (a) catenate (URL \"/x;uidvalidity=5/;uid=7/;section=1.mime\" text {3+}\r\nabc utf8 (~{1+}\r\nx) url {4+}\r\n;uid) (b) {1+}\r\nx\r\n", "a replace * x (\\Seen) \" 1-Jan-2020 00:00:00 +0100\" {3+}\r\nabc\r\na uid replace 7 x {1}\r\n", "a append x utf8 (~{1+}\r\na)\r\n",
		"a bogus {6+}\r\nx y\r\nz {1+}\r\nq\r\nb noop\r\n", "a authenticate plain AGEAYg==\r\n", "a create &AOQ- (use (\\Sent))\r\n",
		"a append x \" 1-Jan-2020 00:00:00 +0100\" {2000+}\r\n", "a search return (save) charset x modseq \"/flags/\\\\a\" all 5\r\n",
		"\x16\x03\x01\x00", "a compress deflate\r\na enable x y\r\na status x (messages)\r\na copy $ y\r\na uid move 1,2:* y\r\na rename a b\r\na uid expunge 5\r\n",
		"a fetch 1 (binary.peek[1]<0.5> binary.size[2] rfc822.text preview (lazy))\r\n",
		"a setquota \"\" (STORAGE 5 Message 9223372036854775807)\r\na getquotaroot {3+}\r\na&-\r\na getquota x\r\na setquota {2+}\r\n!x ()\r\n",
		"a setmetadata INBOX (/private/a ~{2+}\r\n\x00x /shared/b NIL /private/c {3+}\r\nabc)\r\n",
		"a notify set status (selected (MessageNew (uid body.peek[1]) MessageExpunge FlagChange)) (subtree (a {1}\r\nb) (MailboxName X-y))\r\nb notify none\r\n",
		"a esearch in (mailboxes (a {1}\r\nb) subtree-one c personal selected) return (count) charset utf-8 unseen\r\nb esearch unseen\r\n",
		"a uid search return (context count update (uid body.peek[header.fields (to)])) unseen\r\nb sort return (update) (date) utf-8 all\r\nc cancelupdate \"a\" \"b\\\\\"\r\n",
		"a uid search return (partial -1:-500 min save) $ 1:*\r\na uid fetch 1:* (flags) (partial 3:1 changedsince 5)\r\n",
		"a getmetadata (depth infinity maxsize 5) \"\" (/private /shared/comment)\r\na list \"\" * return (metadata (/private/a))\r\n",
		"a setacl \"a b\" {3+}\r\nbob +lrc\r\na deleteacl x -anyone\r\na listrights x \"\"\r\na getacl x\r\na list \"\" (a b) return (myrights)\r\n",
	} {
		f.Add([]byte(s), []byte{}, false)
		f.Add([]byte(s), []byte{0, 3, 1}, true)
	}
	f.Fuzz(func(t *testing.T, in, sizes []byte, utf8 bool) {
		whole := transcript(t, bytes.NewReader(in), len(in), utf8)
		pieces := transcript(t, &chunked{r: bytes.NewReader(in), sizes: sizes}, len(in), utf8)
		if !reflect.DeepEqual(whole, pieces) {
			t.Fatalf("in one piece %q, in many %q", whole, pieces)
		}
	})
}

// Whatever stands before a literal that comes unasked, and after it: what is in
// it is no command, and the next command is found where it begins (RFC 7888).
func FuzzLiteralIsNoCommand(f *testing.F) {
	for _, s := range []string{"login x ", "append x ", "append x (\\Seen) ~", "append x utf8 (~", "search text ", "bogus \"", "fetch 1 (body[header.fields (", "select ", "idle", "authenticate plain ", "noop (",
		"list \"\" (x ", "id (", "id (\"x\" ", "create &", "login {4+}", "x\x00", "uid store 1 +flags (", "\x16\x03"} {
		f.Add([]byte(s), []byte(""))
		f.Add([]byte(s), []byte(" x)"))
		f.Add([]byte(s), []byte("\x16\x03 is no handshake here"))
	}
	f.Fuzz(func(t *testing.T, before, after []byte) {
		before, after = before[:min(len(before), 300)], after[:min(len(after), 300)]
		if bytes.IndexByte(before, '\n') >= 0 || bytes.IndexByte(after, '\n') >= 0 || bytes.HasSuffix(bytes.TrimRight(after, "\r"), []byte("}")) {
			return
		}
		in := fmt.Sprintf("a %s{8+}\r\nc noop\r\n%s\r\nb noop\r\n", before, after)
		r := NewReader(bytes.NewReader([]byte(in)), Limits{Line: 400, Literal: 100, Append: 1000}, func() error { return errors.New("asked") })
		var syntax *SyntaxError
		if tag, cmd, err := r.ReadCommand(); tag != "a" || err != nil && !errors.As(err, &syntax) {
			t.Fatalf("%q: %s, %v, %v", in, tag, cmd, err)
		}
		if tag, cmd, err := r.ReadCommand(); tag != "b" || cmd != (Noop{}) || err != nil {
			t.Fatalf("%q: then %s, %v, %v", in, tag, cmd, err)
		}
	})
}
