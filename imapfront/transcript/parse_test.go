package transcript

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEveryTranscriptParses(t *testing.T) {
	files, err := filepath.Glob("../testdata/*.imap")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(string(text)); err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"no RFC":             "# a test\n1 ok noop\n",
		"no steps":           "# RFC 9051\nmessages: 3\n",
		"unknown header":     "# RFC 9051\nmesages: 3\n1 ok noop\n",
		"unknown verb":       "# RFC 9051\n1 okay noop\n",
		"no such connection": "# RFC 9051\n2 ok noop\n",
		"pattern first":      "# RFC 9051\n* 1 EXISTS\n1 ok noop\n",
		"open literal":       "# RFC 9051\n1 ok append x {{{\nabc\n",
		"bad quoting":        "# RFC 9051\n1 raw \"abc\n",
	} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%s: parsed", name)
		}
	}
}

func TestLiteralsOfCommands(t *testing.T) {
	s, err := Parse("# RFC 9051\n1 ok [APPENDUID $v 1] append a {{{\nx\n\ny\n}}} (\\Seen) {{{\nz\n}}}\n* 1 EXISTS\n")
	if err != nil {
		t.Fatal(err)
	}
	step := s.Steps[0]
	if want := "append a \x00x\r\n\r\ny\x00 (\\Seen) \x00z\x00"; step.Text != want {
		t.Errorf("text %q, want %q", step.Text, want)
	}
	if step.Code != "APPENDUID $v 1" || len(step.Want) != 1 {
		t.Errorf("code %q, want lines %q", step.Code, step.Want)
	}
}

func TestPatterns(t *testing.T) {
	v := vars{"known": "7"}
	if !v.match("* $known FETCH (MODSEQ ($m))", "* 7 FETCH (MODSEQ (12))") || v["m"] != "12" {
		t.Fatalf("no match, or m = %q", v["m"])
	}
	if v.match("* 7 FETCH (MODSEQ ($m))", "* 7 FETCH (MODSEQ (13))") {
		t.Error("a variable has two values")
	}
	if !v.match("* OK $*", "* OK [A] b (c)") || !v.match("* ($Junk)", "* ($Junk)") || v.match("* x", "* xy") {
		t.Error("wildcards, keywords or ends")
	}
	if got, err := v.expand("store $known ($Junk) $"); err != nil || got != "store 7 ($Junk) $" {
		t.Errorf("expand: %q, %v", got, err)
	}
	if _, err := v.expand("store $unknown"); err == nil {
		t.Error("an unknown variable is passed over")
	}
}

func TestCheck(t *testing.T) {
	got := []string{"* 3 EXISTS", "* 0 RECENT", "* 2 FETCH (UID 2)"}
	for name, c := range map[string]struct {
		want, not []string
		ok        bool
	}{
		"all":           {[]string{"* 3 EXISTS", "* 0 RECENT", "* 2 FETCH $*"}, nil, true},
		"any between":   {[]string{"* 3 EXISTS", "...", "* 2 FETCH $*"}, nil, true},
		"any at ends":   {[]string{"...", "* 0 RECENT", "..."}, nil, true},
		"one too many":  {[]string{"* 3 EXISTS", "* 0 RECENT"}, nil, false},
		"one missing":   {[]string{"...", "* 4 EXISTS", "..."}, nil, false},
		"another order": {[]string{"* 0 RECENT", "* 3 EXISTS", "..."}, nil, false},
		"forbidden":     {[]string{"..."}, []string{"RECENT"}, false},
	} {
		r := &runner{vars: vars{}}
		err := r.check(&Step{Want: c.want, Not: c.not}, got)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, strings.TrimSpace(errText(err)))
		}
	}
}

func errText(err error) string {
	if err == nil {
		return "accepted"
	}
	return err.Error()
}
