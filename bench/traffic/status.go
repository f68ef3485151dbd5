package traffic

import (
	"strings"
)

// Status is a status response: OK, NO, BAD, BYE or PREAUTH with its response
// code and text (RFC 9051, 7.1).
type Status struct {
	// Word is "OK", "NO", "BAD", "BYE" or "PREAUTH"; empty for no status at all.
	Word string
	// Code is the response code without its brackets, such as
	// "APPENDUID 38505 3955"; empty if there is none.
	Code string
	// Text is for humans.
	Text string
}

// OK reports whether the answer is OK.
func (s Status) OK() bool { return s.Word == "OK" }

// CodeArg returns what follows name in the response code, and whether the code
// has that name, in any case.
func (s Status) CodeArg(name string) (string, bool) {
	got, arg, _ := strings.Cut(s.Code, " ")
	if !strings.EqualFold(got, name) {
		return "", false
	}
	return arg, true
}

// String returns the status as the server sent it.
func (s Status) String() string {
	if s.Code == "" {
		return s.Word + " " + s.Text
	}
	return s.Word + " [" + s.Code + "] " + s.Text
}

// parseStatus reads what follows "* " or a tag. It is false for what is no
// status response.
func parseStatus(line string) (Status, bool) {
	word, rest, _ := strings.Cut(line, " ")
	word = strings.ToUpper(word)
	switch word {
	case "OK", "NO", "BAD", "BYE", "PREAUTH":
	default:
		return Status{}, false
	}
	s := Status{Word: word, Text: rest}
	if !strings.HasPrefix(rest, "[") {
		return s, true
	}
	end := codeEnd(rest)
	if end < 0 {
		return s, true
	}
	s.Code, s.Text = rest[1:end], strings.TrimPrefix(rest[end+1:], " ")
	return s, true
}

// codeEnd returns the place of the "]" that ends the response code at the start
// of s; those in quoted strings don't. It is -1 if there is none.
func codeEnd(s string) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ']' && !quoted:
			return i
		}
	}
	return -1
}
