package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/quorumail/quorumail/bench/traffic"
)

var (
	// values are those that a server chooses: UIDVALIDITY (RFC 9051, 2.3.1.1) and
	// mod-sequences (RFC 7162, 3.1).
	values = regexp.MustCompile(`\b(UIDVALIDITY |HIGHESTMODSEQ |MODSEQ \(|MODSEQ |APPENDUID |COPYUID )(\d+)`)
	// mailboxIDs are names that a server chooses (RFC 8474, 4).
	mailboxIDs = regexp.MustCompile(`MAILBOXID \([^()]*\)`)
	// days are those of one digit, which may have a space or a zero before it
	// (RFC 9051, 9: date-day-fixed).
	days = regexp.MustCompile(`(INTERNALDATE ")0(\d-)`)
	// structures have names whose case means nothing (RFC 9051, 7.5.2).
	structures = regexp.MustCompile(`^\d+ FETCH \(BODY(STRUCTURE)? \(`)
	// lists are those whose order means nothing: of flags and of attributes.
	lists = regexp.MustCompile(`(FLAGS |^LIST |^LSUB )\(([^()]*)\)`)
	// pairs are lists of names with values, whose order means nothing.
	pairs = regexp.MustCompile(`(?s)^(\d+ FETCH \(|STATUS [^(]*\(|ESEARCH \([^)]*\)(?: UID)? ?)(.*?)(\)?)$`)
	// tags are those of the commands that ESEARCH answers.
	tags = regexp.MustCompile(`\(TAG "?\w+"?\)`)
	// atoms are strings that could be sent without quotes.
	atoms = regexp.MustCompile(`^[A-Za-z0-9/@._-]+$`)
	// fields are names of header fields, whose case means nothing.
	fields = regexp.MustCompile(`\[[0-9.]*HEADER\.FIELDS[^\]]*\]`)
)

// unordered are commands whose answers have an order that means nothing.
var unordered = []string{"SELECT", "EXAMINE", "LIST", "LSUB", "STATUS", "ENABLE"}

// normalise drops what may differ between two servers: texts for humans, values
// that a server chooses, the form of strings, the order of flags and of data
// items, and for some commands that of the answers. The tagged response comes
// first, as "tagged".
func normalise(verb string, reply traffic.Reply, vars map[string]uint64) answer {
	var list answer
	for _, line := range reply.Lines {
		list = append(list, normaliseLine(line, vars))
	}
	if slices.Contains(unordered, verb) {
		slices.Sort(list)
	}
	return slices.Insert(list, 0, "tagged "+normaliseLine(reply.Status.String(), vars))
}

func normaliseLine(line string, vars map[string]uint64) string {
	if word, rest, _ := strings.Cut(line, " "); word == "OK" || word == "NO" || word == "BAD" {
		code := ""
		if strings.HasPrefix(rest, "[") {
			if end := strings.Index(rest, "]"); end > 0 {
				code = " " + rest[:end+1]
			}
		}
		line = word + code
	}
	line = plainStrings(line)
	if m := pairs.FindStringSubmatch(line); m != nil {
		open := strings.HasSuffix(m[1], "(")
		if !open {
			m[2], m[3] = m[2]+m[3], ""
		}
		line = m[1] + sortPairs(m[2]) + m[3]
	}
	line = values.ReplaceAllStringFunc(line, func(s string) string {
		m := values.FindStringSubmatch(s)
		return m[1] + symbol(m[2], vars)
	})
	line = mailboxIDs.ReplaceAllString(line, "MAILBOXID (n)")
	line = days.ReplaceAllString(line, "$1 $2")
	line = tags.ReplaceAllString(line, "(TAG t)")
	if structures.MatchString(line) {
		line = strings.ToUpper(line)
	}
	line = lists.ReplaceAllStringFunc(line, func(s string) string {
		m := lists.FindStringSubmatch(s)
		words := strings.Fields(m[2])
		slices.Sort(words)
		return m[1] + "(" + strings.Join(words, " ") + ")"
	})
	line = fields.ReplaceAllStringFunc(line, strings.ToUpper)
	return strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(line)
}

// symbol says how a value that the server chose relates to those that the script
// has kept: "$name" is the same, "$name+" is above that and below the next, "n"
// is below all.
func symbol(digits string, vars map[string]uint64) string {
	v, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return digits
	}
	best, name := uint64(0), ""
	for n, value := range vars {
		if value <= v && (name == "" || value > best || value == best && n < name) {
			best, name = value, n
		}
	}
	switch {
	case name == "":
		return "n"
	case best == v:
		return fmt.Sprintf("$%s", name)
	}
	return fmt.Sprintf("$%s+", name)
}

// sortPairs sorts "NAME value NAME value" by its names.
func sortPairs(text string) string {
	words := splitWords(text)
	if len(words)%2 != 0 {
		return text
	}
	var list []string
	for pair := range slices.Chunk(words, 2) {
		list = append(list, strings.Join(pair, " "))
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

var literalStart = regexp.MustCompile(`^~?\{(\d+)\}\r\n`)

// plainStrings gives quoted strings and literals one form: both mean the same
// (RFC 9051, 4.3), and so do atoms where a string stands for a name (9: astring).
func plainStrings(line string) string {
	var sb strings.Builder
	for i := 0; i < len(line); {
		text, n := stringAt(line[i:])
		switch {
		case n == 0:
			sb.WriteByte(line[i])
			n = 1
		case atoms.MatchString(text) && !strings.EqualFold(text, "NIL"):
			sb.WriteString(text)
		default:
			sb.WriteString(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`)
		}
		i += n
	}
	return sb.String()
}

// stringAt returns the string at the start of line and how long its form is, 0 if
// there is none.
func stringAt(line string) (text string, n int) {
	if m := literalStart.FindStringSubmatch(line); m != nil {
		size, _ := strconv.Atoi(m[1])
		n = min(len(m[0])+size, len(line))
		return line[len(m[0]):n], n
	}
	if line[0] != '"' {
		return "", 0
	}
	var sb strings.Builder
	for n = 1; n < len(line) && line[n] != '"'; n++ {
		if line[n] == '\\' && n+1 < len(line) {
			n++
		}
		sb.WriteByte(line[n])
	}
	return sb.String(), min(n+1, len(line))
}

// splitWords splits at the spaces outside of parentheses, brackets and quotes.
func splitWords(text string) []string {
	var words []string
	depth, start := 0, 0
	for i := 0; i < len(text); {
		n := 1
		switch text[i] {
		case '(', '[':
			depth++
		case ')', ']':
			depth--
		case '"':
			_, n = stringAt(text[i:])
		case ' ':
			if depth == 0 {
				words = append(words, text[start:i])
				start = i + 1
			}
		}
		i += n
	}
	return append(words, text[start:])
}
