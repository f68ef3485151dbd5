package transcript

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// conn is one client connection of a transcript.
type conn struct {
	net     net.Conn
	r       *bufio.Reader
	name    string   // "1", "2", … as in the transcript
	tags    int      // how many commands were sent
	waiting []string // tags of commands not yet answered, oldest first
	pending []string // untagged lines that came before a step asked for them
	timeout time.Duration
}

func newConn(c net.Conn, name string, timeout time.Duration) *conn {
	return &conn{net: c, r: bufio.NewReader(c), name: name, timeout: timeout}
}

// readLine reads one response, its literals shown as {{…}}.
func (c *conn) readLine() (string, error) {
	var sb strings.Builder
	if err := c.net.SetReadDeadline(time.Now().Add(c.timeout)); err != nil {
		return "", err
	}
	for {
		part, err := c.r.ReadString('\n')
		if err != nil {
			return sb.String() + part, err
		}
		bare, ok := strings.CutSuffix(part, "\r\n")
		if !ok {
			return sb.String() + part, fmt.Errorf("a line ends without CR: %q", part)
		}
		open := strings.LastIndexByte(bare, '{')
		if open < 0 || !strings.HasSuffix(bare, "}") {
			sb.WriteString(bare)
			return sb.String(), nil
		}
		size, err := strconv.Atoi(bare[open+1 : len(bare)-1])
		if err != nil {
			sb.WriteString(bare)
			return sb.String(), nil
		}
		literal := make([]byte, size)
		if _, err := io.ReadFull(c.r, literal); err != nil {
			return sb.String(), err
		}
		sb.WriteString(bare[:open] + "{{" + show(string(literal)) + "}}")
	}
}

// show escapes line ends, other control characters and what is not UTF-8.
func show(literal string) string {
	var sb strings.Builder
	for i, c := range literal {
		_, size := utf8.DecodeRuneInString(literal[i:])
		switch {
		case c == '\r':
			sb.WriteString(`\r`)
		case c == '\n':
			sb.WriteString(`\n`)
		case c < ' ' && c != '\t' || c == 0x7f || c == utf8.RuneError && size == 1:
			fmt.Fprintf(&sb, `\x%02x`, literal[i])
		default:
			sb.WriteRune(c)
		}
	}
	return sb.String()
}

// send sends a command; literals (between NULs) each after the server's "+".
func (c *conn) send(command string) error {
	c.tags++
	tag := fmt.Sprintf("%s.%d", c.name, c.tags)
	parts := strings.Split(tag+" "+command, "\x00")
	for i, part := range parts {
		if i%2 == 1 {
			if _, err := io.WriteString(c.net, part); err != nil {
				return err
			}
			continue
		}
		if i+1 == len(parts) {
			part += "\r\n"
		} else {
			part += fmt.Sprintf("{%d}\r\n", len(parts[i+1]))
		}
		if _, err := io.WriteString(c.net, part); err != nil {
			return err
		}
		if i+1 == len(parts) {
			break
		}
		line, err := c.awaitContinuation(tag)
		if err != nil {
			return err
		}
		if line != "" { // the literal was refused
			c.pending = append(c.pending, line)
			break
		}
	}
	c.waiting = append(c.waiting, tag)
	return nil
}

// awaitContinuation waits for "+". A tagged answer instead is returned.
func (c *conn) awaitContinuation(tag string) (string, error) {
	for {
		line, err := c.readLine()
		switch {
		case err != nil:
			return "", err
		case strings.HasPrefix(line, "+"):
			return "", nil
		case strings.HasPrefix(line, tag+" "):
			return line, nil
		}
		c.pending = append(c.pending, line)
	}
}

// await returns the tagged answer of the oldest command and the untagged lines
// before it.
func (c *conn) await() (tagged string, untagged []string, err error) {
	if len(c.waiting) == 0 {
		return "", nil, fmt.Errorf("no command is waiting for its answer")
	}
	tag := c.waiting[0] + " "
	c.waiting = c.waiting[1:]
	for i, line := range c.pending {
		if strings.HasPrefix(line, tag) {
			untagged = append(untagged, c.pending[:i]...)
			c.pending = append([]string(nil), c.pending[i+1:]...)
			return line[len(tag):], untagged, nil
		}
	}
	untagged, c.pending = c.pending, nil
	for {
		line, err := c.readLine()
		if err != nil {
			return "", untagged, fmt.Errorf("waiting for the answer: %w", err)
		}
		if strings.HasPrefix(line, tag) {
			return line[len(tag):], untagged, nil
		}
		untagged = append(untagged, line)
	}
}
