package transcript

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Script is a parsed transcript.
type Script struct {
	// Doc is the comment at the head.
	Doc         string
	Connections int
	Messages    int
	State       string
	Enable      string
	// Users are names for the accounts of the connections, in their order; none: all
	// connections are of one account.
	Users []string
	Steps []Step
}

// Step is one thing that a connection does, with what it must be told.
type Step struct {
	Line int // in the file, for messages
	Conn int // from 1
	Verb string
	Code string // pattern for the response code, without brackets
	Text string // command, raw octets or pattern; literals marked by \x00…\x00
	// Want are the patterns of untagged lines; "..." stands for any.
	Want []string
	Not  []string
}

var verbs = map[string]bool{
	"ok": true, "no": true, "bad": true, "send": true, "wait": true, "expect": true, "idle": true,
	"done": true, "raw": true, "bye": true, "close": true, "open": true, "line": true, "above": true, "compress": true,
}

var stepLine = regexp.MustCompile(`^([1-9]) ([a-z]+)(?: (.*))?$`)

// Parse reads a transcript. Errors name the line.
func Parse(text string) (*Script, error) {
	s := &Script{Connections: 1, State: "selected"}
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		line := strings.TrimRight(lines[i], "\r\t ")
		switch {
		case line == "":
		case strings.HasPrefix(line, "#"):
			if len(s.Steps) == 0 {
				s.Doc += strings.TrimSpace(strings.TrimPrefix(line, "#")) + "\n"
			}
		case line == "..." || strings.HasPrefix(line, "* ") || strings.HasPrefix(line, "! "):
			if len(s.Steps) == 0 {
				return nil, fmt.Errorf("line %d: nothing has been sent yet", i+1)
			}
			step := &s.Steps[len(s.Steps)-1]
			if line[0] == '!' {
				step.Not = append(step.Not, line[2:])
			} else {
				step.Want = append(step.Want, line)
			}
		case stepLine.MatchString(line):
			n, err := s.parseStep(lines[i:], i+1)
			if err != nil {
				return nil, err
			}
			i += n
		default:
			if err := s.parseHeader(line); err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
		}
	}
	if !strings.Contains(s.Doc, "RFC") {
		return nil, fmt.Errorf("the comment at the head names no RFC")
	}
	if len(s.Steps) == 0 {
		return nil, fmt.Errorf("no steps")
	}
	return s, nil
}

func (s *Script) parseHeader(line string) error {
	name, value, ok := strings.Cut(line, ":")
	value = strings.TrimSpace(value)
	if !ok || len(s.Steps) > 0 {
		return fmt.Errorf("neither a header nor a step nor a pattern: %q", line)
	}
	var err error
	switch name {
	case "connections":
		if s.Connections, err = strconv.Atoi(value); err == nil && (s.Connections < 1 || s.Connections > 9) {
			err = fmt.Errorf("connections: want 1 to 9")
		}
	case "messages":
		s.Messages, err = strconv.Atoi(value)
	case "enable":
		s.Enable = value
	case "users":
		s.Users = strings.Fields(value)
		if s.Connections = len(s.Users); s.Connections < 1 || s.Connections > 9 {
			err = fmt.Errorf("users: want 1 to 9")
		}
	case "state":
		s.State = value
		if value != "none" && value != "auth" && value != "selected" {
			err = fmt.Errorf("unknown state %q", value)
		}
	default:
		err = fmt.Errorf("unknown header %q", name)
	}
	return err
}

// parseStep reads the step that lines starts with and returns how many further
// lines its literals took.
func (s *Script) parseStep(lines []string, at int) (int, error) {
	m := stepLine.FindStringSubmatch(strings.TrimRight(lines[0], "\r\t "))
	step := Step{Line: at, Conn: int(m[1][0] - '0'), Verb: m[2], Text: m[3]}
	if !verbs[step.Verb] || step.Conn > s.Connections {
		return 0, fmt.Errorf("line %d: no such verb or connection: %q", at, lines[0])
	}
	used := 0
	for strings.HasSuffix(step.Text, "{{{") {
		var body []string
		for {
			used++
			if used >= len(lines) {
				return 0, fmt.Errorf("line %d: the literal has no end", at)
			}
			line := strings.TrimRight(lines[used], "\r")
			if rest, ok := strings.CutPrefix(line, "}}}"); ok {
				step.Text = strings.TrimSuffix(step.Text, "{{{") + "\x00" + strings.Join(body, "\r\n") + "\x00" + rest
				break
			}
			body = append(body, line)
		}
	}
	if step.Verb == "ok" || step.Verb == "no" || step.Verb == "bad" || step.Verb == "wait" {
		if step.Verb == "wait" {
			step.Verb, step.Text, _ = strings.Cut(step.Text, " ")
			step.Verb = "wait-" + step.Verb
		}
		if rest, ok := strings.CutPrefix(step.Text, "["); ok {
			code, text, _ := strings.Cut(rest, "]")
			step.Code, step.Text = code, strings.TrimPrefix(text, " ")
		}
	}
	if step.Verb == "raw" {
		raw, err := strconv.Unquote(step.Text)
		if err != nil {
			return 0, fmt.Errorf("line %d: raw: %w", at, err)
		}
		step.Text = raw
	}
	s.Steps = append(s.Steps, step)
	return used, nil
}

var variable = regexp.MustCompile(`\$(\*|[a-zA-Z][a-zA-Z0-9_]*)`)

// vars are the values that patterns have taken.
type vars map[string]string

// expand replaces the variables of a command. An unknown one is an error: "$"
// alone, and keywords such as $Junk that begin with a capital letter, stay.
func (v vars) expand(text string) (string, error) {
	var err error
	out := variable.ReplaceAllStringFunc(text, func(name string) string {
		value, ok := v[name[1:]]
		if !ok && name[1] >= 'a' && name[1] <= 'z' {
			err = fmt.Errorf("variable %s has no value yet", name)
		}
		if !ok {
			return name
		}
		return value
	})
	return out, err
}

// match reports whether line is of pattern, and takes the values of its new
// variables if so.
func (v vars) match(pattern, line string) bool {
	var expr strings.Builder
	var names []string
	expr.WriteString("^(?s:")
	rest := pattern
	for {
		loc := variable.FindStringIndex(rest)
		if loc == nil {
			expr.WriteString(regexp.QuoteMeta(rest))
			break
		}
		expr.WriteString(regexp.QuoteMeta(rest[:loc[0]]))
		name := rest[loc[0]+1 : loc[1]]
		value, known := v[name]
		switch {
		case name == "*":
			expr.WriteString(".*")
		case known:
			expr.WriteString(regexp.QuoteMeta(value))
		case name[0] >= 'A' && name[0] <= 'Z':
			expr.WriteString(regexp.QuoteMeta("$" + name))
		case strings.HasPrefix(name, "rest"):
			expr.WriteString(`(.+)`)
			names = append(names, name)
		default:
			expr.WriteString(`([^ \])]+)`)
			names = append(names, name)
		}
		rest = rest[loc[1]:]
	}
	expr.WriteString(")$")
	m := regexp.MustCompile(expr.String()).FindStringSubmatch(line)
	if m == nil {
		return false
	}
	for i, name := range names {
		if old, ok := v[name]; ok && old != m[i+1] {
			return false
		}
		v[name] = m[i+1]
	}
	return true
}
