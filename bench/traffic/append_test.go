package traffic_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/quorumail/quorumail/bench/traffic"
)

func message(s string) traffic.Message {
	return traffic.Message{Size: int64(len(s)), Body: strings.NewReader(s)}
}

func TestAppend_RFC9051_6_3_12(t *testing.T) {
	c := connect(t,
		`C: T1 APPEND "INBOX" (\Seen x) " 3-Feb-2026 04:05:06 +0100" {5+}`, "C: hello",
		"S: * 1 EXISTS", "S: T1 OK [APPENDUID 7 12] done")
	at, err := c.Append("INBOX", []string{`\Seen`, "x"}, time.Date(2026, 2, 3, 4, 5, 6, 0, time.FixedZone("", 3600)), 5, strings.NewReader("hello, and more"))
	if err != nil || at.UIDValidity != 7 || at.UID() != 12 || at.UIDs.Len() != 1 {
		t.Errorf("got %+v, %v", at, err)
	}
}

func TestAppend_SynchronizingLiteral_RFC9051_4_3(t *testing.T) {
	c, err := dial(t, "S: * OK [CAPABILITY IMAP4rev1] hello",
		`C: T1 APPEND "x" {5}`, "S: * 3 EXISTS", "S: + go on", "C: hello", "S: T1 OK done",
		`C: T2 APPEND "y" {5}`, "S: T2 NO [TRYCREATE] no such mailbox",
		"C: T3 NOOP", "S: T3 OK done")
	if err != nil {
		t.Fatal(err)
	}
	if at, err := c.Append("x", nil, time.Time{}, 5, strings.NewReader("hello")); err != nil || !at.UIDs.Empty() {
		t.Errorf("got %+v, %v", at, err)
	}
	var refused *traffic.StatusError
	if _, err := c.Append("y", nil, time.Time{}, 5, strings.NewReader("hello")); !errors.As(err, &refused) || refused.Status.Code != "TRYCREATE" {
		t.Errorf("got %v", err)
	}
	if _, err := c.OK("NOOP"); err != nil {
		t.Error(err)
	}
}

func TestAppend_LiteralMinus_RFC7888_5(t *testing.T) {
	big := strings.Repeat("x", 4097)
	c, err := dial(t, "S: * OK [CAPABILITY IMAP4rev1 LITERAL-] hello",
		`C: T1 APPEND "x" {5+}`, "C: hello", "S: T1 OK done",
		`C: T2 APPEND "x" {4097}`, "S: + go on", "C: "+big, "S: T2 OK done")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []string{"hello", big} {
		if _, err := c.Append("x", nil, time.Time{}, int64(len(m)), strings.NewReader(m)); err != nil {
			t.Error(err)
		}
	}
}

func TestAppend_MultiAppend_RFC3502(t *testing.T) {
	c := connect(t, `C: T1 APPEND "x" {3+}`, `C: abc {2+}`, "C: de", `C: T2 NOOP`,
		"S: T1 OK [APPENDUID 1 4:5] done", "S: T2 OK done")
	p, err := c.StartAppend("x", message("abc"), message("de"))
	if err != nil {
		t.Fatal(err)
	}
	noop, err := c.Start("NOOP")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Wait(noop); err != nil {
		t.Fatal(err)
	}
	if at, err := c.WaitAppend(p); err != nil || at.UIDs.String() != "4:5" {
		t.Errorf("got %v, %v", at.UIDs, err)
	}
}

func TestAppend_ShortBodyEndsTheConnection(t *testing.T) {
	c := connect(t, `C: T1 APPEND "x" {5+}`)
	if _, err := c.Append("x", nil, time.Time{}, 5, strings.NewReader("abc")); err == nil || c.Err() == nil {
		t.Errorf("got %v", err)
	}
}

func TestAppend_BadAppendUID(t *testing.T) {
	for _, code := range []string{"APPENDUID 1", "APPENDUID 0 1", "APPENDUID x 1", "APPENDUID 1 0", "APPENDUID 1 1:*"} {
		c := connect(t, `C: T1 APPEND "x" {1+}`, "C: a", "S: T1 OK ["+code+"] done")
		_, err := c.Append("x", nil, time.Time{}, 1, strings.NewReader("a"))
		wantRule(t, err, "APPENDUID")
	}
}

func TestParseSet_RFC9051_9(t *testing.T) {
	for in, want := range map[string]string{
		"1": "1", "3,1:2": "1:3", "9:7,4294967295": "7:9,4294967295", "5,5": "5",
	} {
		got, err := traffic.ParseSet(in)
		if err != nil || got.String() != want {
			t.Errorf("ParseSet(%q) = %v, %v; want %s", in, got, err, want)
		}
	}
	for _, bad := range []string{"", "0", "*", "1:*", "1,", ",1", "1::2", "+1", "-1", "4294967296", "1 ", "1:2:3"} {
		if got, err := traffic.ParseSet(bad); err == nil {
			t.Errorf("ParseSet(%q) = %v, want an error", bad, got)
		}
	}
}
