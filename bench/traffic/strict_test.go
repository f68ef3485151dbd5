package traffic_test

import (
	"bytes"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/quorumail/quorumail/bench/traffic"
)

// selected is a session with QRESYNC and three messages.
var selected = []string{
	"C: T1 ENABLE QRESYNC", "S: * ENABLED QRESYNC", "S: T1 OK done",
	"C: T2 SELECT a", "S: * 3 EXISTS", "S: * OK [HIGHESTMODSEQ 50] ok", "S: T2 OK done",
}

// plain is the same without QRESYNC.
var plain = []string{"C: T1 NOOP", "S: T1 OK done", "C: T2 SELECT a", "S: * 3 EXISTS", "S: T2 OK done"}

// third plays a prologue, then a command with the server's answer to it.
func third(t *testing.T, prologue []string, command string, answer ...string) (*traffic.Conn, error) {
	t.Helper()
	script := append([]string(nil), prologue...)
	script = append(script, "C: T3 "+command)
	c := connect(t, append(script, answer...)...)
	for _, step := range prologue {
		if sent, ok := strings.CutPrefix(step, "C: "); ok {
			if _, err := c.OK("%s", sent[3:]); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, err := c.Cmd("%s", command)
	return c, err
}

func TestStrict_Violations(t *testing.T) {
	for _, c := range []struct {
		name     string
		prologue []string
		command  string
		answer   string
		rule     string
	}{
		{"tag of nobody", plain, "NOOP", "S: T9 OK done", "waits for its answer"},
		{"no tag", plain, "NOOP", "S: hello", "starts with"},
		{"empty line", plain, "NOOP", "S: ", "starts with"},
		{"tagged BYE", plain, "NOOP", "S: T3 BYE done", "OK, NO or BAD"},
		{"unasked continuation", plain, "NOOP", "S: + go on", "continuation"},
		{"bare LF", plain, "NOOP", "RAW: * 3 EXISTS\n", "CRLF"},
		{"unknown response", plain, "NOOP", "S: * HELLO", "known response"},
		{"unknown numbered", plain, "NOOP", "S: * 3 HELLO", "EXISTS, RECENT"},
		{"nothing said", plain, "NOOP", "S: * ", "says something"},
		{"open parenthesis", plain, "FETCH 1 FLAGS", `S: * 1 FETCH (FLAGS (\Seen)`, "balance"},
		{"closed twice", plain, "FETCH 1 FLAGS", `S: * 1 FETCH (FLAGS ()))`, "balance"},
		{"open quote", plain, "LIST", `S: * LIST () "/" "a`, "quoted string"},
		{"odd escape", plain, "LIST", `S: * LIST () "/" "\a"`, "quoted string"},
		{"8 bit atom", plain, "LIST", "S: * LIST () NIL \xff", "above 127"},
		{"8 bit quoted", plain, "LIST", "S: * LIST () NIL \"\xc3\xbc\"", "quoted string"},
		{"control character", plain, "LIST", "S: * LIST () NIL a\x00b", "control"},
		{"two spaces", plain, "FETCH 1 FLAGS", "S: * 1  FETCH (FLAGS ())", "space"},
		{"space at the end", plain, "SEARCH ALL", "S: * SEARCH ", "space"},
		{"space in parentheses", plain, "FETCH 1 FLAGS", "S: * 1 FETCH ( FLAGS ())", "space"},
		{"EXISTS shrinks", plain, "NOOP", "S: * 2 EXISTS", "7.4.1"},
		{"FETCH above EXISTS", plain, "FETCH 1 FLAGS", "S: * 4 FETCH (FLAGS ())", "7.5.2"},
		{"FETCH of 0", plain, "FETCH 1 FLAGS", "S: * 0 FETCH (FLAGS ())", "7.5.2"},
		{"EXPUNGE above EXISTS", plain, "NOOP", "S: * 4 EXPUNGE", "1 to 3"},
		{"EXPUNGE during FETCH", plain, "FETCH 1 FLAGS", "S: * 1 EXPUNGE", "no EXPUNGE during"},
		{"EXPUNGE during STORE", plain, "STORE 1 FLAGS ()", "S: * 1 EXPUNGE", "no EXPUNGE during"},
		{"EXPUNGE after QRESYNC", selected, "NOOP", "S: * 1 EXPUNGE", "VANISHED instead"},
		{"VANISHED without QRESYNC", plain, "NOOP", "S: * VANISHED 1", "only after ENABLE"},
		{"VANISHED of too many", selected, "NOOP", "S: * VANISHED 1:4", "that were shown"},
		{"VANISHED during FETCH", selected, "FETCH 1 FLAGS", "S: * VANISHED 1", "no VANISHED during"},
		{"VANISHED of nothing", selected, "NOOP", "S: * VANISHED 0", "set of UIDs"},
		{"VANISHED (EARLIER) of NOOP", selected, "NOOP", "S: * VANISHED (EARLIER) 1", "EARLIER"},
		{"HIGHESTMODSEQ goes back", selected, "NOOP", "S: * OK [HIGHESTMODSEQ 49] ok", "never goes back"},
		{"HIGHESTMODSEQ of nothing", selected, "NOOP", "S: * OK [HIGHESTMODSEQ 0] ok", "mod-sequence"},
		{"tagged HIGHESTMODSEQ goes back", selected, "EXPUNGE", "S: T3 OK [HIGHESTMODSEQ 49] ok", "never goes back"},
		{"literal too large", plain, "FETCH 1 BODY[]", "S: * 1 FETCH (BODY[] {9999999999}", "literal"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := third(t, c.prologue, c.command, c.answer, "S: T3 OK done")
			wantRule(t, err, c.rule)
			if conn.Err() == nil {
				t.Error("the connection goes on")
			}
		})
	}
}

func TestStrict_Allowed(t *testing.T) {
	for _, c := range []struct {
		name     string
		prologue []string
		command  string
		answer   []string
		exists   uint32
	}{
		{"EXPUNGE during UID FETCH", plain, "UID FETCH 1 FLAGS", []string{"S: * 1 EXPUNGE", "S: * 2 FETCH (UID 3)"}, 2},
		{"VANISHED during NOOP", selected, "NOOP", []string{"S: * VANISHED 2,9", "S: * 5 EXISTS"}, 5},
		{"VANISHED (EARLIER) changes no counts", selected, "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)",
			[]string{"S: * VANISHED (EARLIER) 1:1000"}, 3},
		{"another mailbox is smaller", selected, "SELECT b",
			[]string{"S: * OK [CLOSED] closed", "S: * 1 EXISTS", "S: * OK [HIGHESTMODSEQ 7] ok"}, 1},
		{"a SELECT that fails", selected, "SELECT b", []string{"S: T3 NO gone"}, 0},
		{"CLOSE", selected, "CLOSE", []string{"S: T3 OK [HIGHESTMODSEQ 51] closed"}, 0},
		{"X responses", plain, "NOOP", []string{"S: * XTHING a"}, 3},
		{"literal8", plain, "FETCH 1 BINARY[]", []string{"S: * 1 FETCH (BINARY[] ~{2}\r\n\x00\xff)"}, 3},
		{"body structures", plain, "FETCH 1 BODY",
			[]string{`S: * 1 FETCH (BODY (("TEXT" "PLAIN" NIL NIL NIL "7BIT" 1 1)("TEXT" "HTML" ("A" "b\"c") NIL NIL "7BIT" 1 1) "MIXED"))`}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := third(t, c.prologue, c.command, append(c.answer, "S: T3 OK done")...)
			if err != nil {
				t.Fatal(err)
			}
			if conn.Exists() != c.exists {
				t.Errorf("exists %d, want %d", conn.Exists(), c.exists)
			}
		})
	}
}

// canned is a server that says something and listens to nothing.
type canned struct {
	net.Conn
	r *bytes.Reader
}

func (c canned) Read(p []byte) (int, error)       { return c.r.Read(p) }
func (c canned) Write(p []byte) (int, error)      { return len(p), nil }
func (c canned) Close() error                     { return nil }
func (c canned) SetReadDeadline(time.Time) error  { return nil }
func (c canned) SetWriteDeadline(time.Time) error { return nil }

// Whatever a server sends, the client neither panics nor hangs.
func FuzzServer(f *testing.F) {
	for _, seed := range []string{
		"* 3 EXISTS\r\n* 1 FETCH (BODY[] {5}\r\nhello)\r\nT1 OK [HIGHESTMODSEQ 5] done\r\n",
		"* ENABLED QRESYNC\r\n* VANISHED 1:3\r\nT1 NO\r\n", "* LIST () \"/\" \"a\\\"b\"\r\n", "T1 \r\n", "+ \r\n", "* {3}\r\n", "* 1 FETCH ({0}\r\n)\r\n",
		"* OK [APPENDUID 1 2:3] x\r\nT1 OK\r\nT2 OK [APPENDUID 1 2] x\r\n", "* BYE\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		data = append([]byte("* OK hello\r\n"), data...)
		c, err := (&traffic.Dialer{Buffer: 16}).New(t.Context(), canned{r: bytes.NewReader(data)})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Cmd("NOOP"); err != nil && c.Err() == nil {
			t.Errorf("%v has not ended the connection", err)
		}
		c.Append("x", nil, time.Time{}, 1, strings.NewReader("a"))
		idle(c, func([]byte) error { return nil })
	})
}
