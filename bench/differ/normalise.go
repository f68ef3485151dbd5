package main

import (
	"regexp"
	"slices"
	"strings"

	"github.com/quorumail/quorumail/bench/traffic"
)

var (
	// values are those that a server chooses: UIDVALIDITY (RFC 9051, 2.3.1.1) and
	// mod-sequences (RFC 7162, 3.1).
	values = regexp.MustCompile(`\b(UIDVALIDITY |HIGHESTMODSEQ |MODSEQ \(|MODSEQ |APPENDUID |COPYUID )\d+`)
	// mailboxIDs are names that a server chooses (RFC 8474, 4).
	mailboxIDs = regexp.MustCompile(`MAILBOXID \([^()]*\)`)
	// days are those of one digit, which may have a space or a zero before it
	// (RFC 9051, 9: date-day-fixed).
	days = regexp.MustCompile(`(INTERNALDATE ")0(\d-)`)
	// structures have names whose case means nothing (RFC 9051, 7.5.2).
	structures = regexp.MustCompile(`^\d+ FETCH \(BODY(STRUCTURE)? \(`)
	// lists are those whose order means nothing: of flags and of attributes.
	lists = regexp.MustCompile(`(FLAGS |^LIST |^LSUB )\(([^()]*)\)`)
	// quoted are strings that could be atoms: both forms of a mailbox's name mean
	// the same (RFC 9051, 9: astring).
	quoted = regexp.MustCompile(`"([A-Za-z0-9/@._-]+)"`)
	// literals are those that could be quoted (RFC 9051, 4.3).
	literals = regexp.MustCompile(`\{\d+\}\r\n([^"\\\r\n()]*)`)
)

// normalise drops what may differ between two servers: texts for humans, values
// that a server chooses, the form of strings, the order of flags and that of
// untagged responses (RFC 9051, 7). The tagged response comes first, as "tagged".
func normalise(reply traffic.Reply) answer {
	var list answer
	for _, line := range reply.Lines {
		list = append(list, normaliseLine(line))
	}
	slices.Sort(list)
	return slices.Insert(list, 0, "tagged "+normaliseLine(reply.Status.String()))
}

func normaliseLine(line string) string {
	if word, rest, _ := strings.Cut(line, " "); word == "OK" || word == "NO" || word == "BAD" {
		code := ""
		if strings.HasPrefix(rest, "[") {
			if end := strings.Index(rest, "]"); end > 0 {
				code = " " + rest[:end+1]
			}
		}
		line = word + code
	}
	line = values.ReplaceAllString(line, "${1}n")
	line = mailboxIDs.ReplaceAllString(line, "MAILBOXID (n)")
	line = days.ReplaceAllString(line, "$1 $2")
	if structures.MatchString(line) {
		line = strings.ToUpper(line)
	}
	line = lists.ReplaceAllStringFunc(line, func(s string) string {
		m := lists.FindStringSubmatch(s)
		words := strings.Fields(m[2])
		slices.Sort(words)
		return m[1] + "(" + strings.Join(words, " ") + ")"
	})
	line = literals.ReplaceAllString(line, `"$1"`)
	line = quoted.ReplaceAllString(line, "$1")
	return strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(line)
}
