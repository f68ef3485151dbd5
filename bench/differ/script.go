package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// script is the steps of one file.
type script struct {
	name     string
	messages string // the folder of messages/ that its INBOX is filled from, "" for messages/ itself
	steps    []step
}

// step is a line of a script.
type step struct {
	conn string // the connection's number
	text string // a command, or what step.verb knows
}

// String is the step as its file has it.
func (s step) String() string {
	if s.conn == "1" {
		return s.text
	}
	return s.conn + ": " + s.text
}

// verb is the first word, in upper case.
func (s step) verb() string {
	word, _, _ := strings.Cut(s.text, " ")
	return strings.ToUpper(word)
}

var (
	onConnection = regexp.MustCompile(`^(\d): `)
	literalText  = regexp.MustCompile(`\{\{(.*?)\}\}`)
	variable     = regexp.MustCompile(`\$\((\w+)\)`)
)

// command is the text as it is sent: literals as RFC 7888 has them, and the
// values of variables.
func (s step) command(vars map[string]uint64) (string, error) {
	var err error
	text := variable.ReplaceAllStringFunc(s.text, func(m string) string {
		value, ok := vars[m[2:len(m)-1]]
		if !ok {
			err = fmt.Errorf("%s: has no value", m)
		}
		return fmt.Sprint(value)
	})
	text = literalText.ReplaceAllStringFunc(text, func(m string) string {
		octets := strings.ReplaceAll(m[2:len(m)-2], `\n`, "\r\n")
		return fmt.Sprintf("{%d+}\r\n%s", len(octets), octets)
	})
	return text, err
}

// readScripts reads all scripts of a directory, in the order of their names.
func readScripts(dir string) ([]script, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no scripts in %s", dir)
	}
	var list []script
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		list = append(list, parseScript(strings.TrimSuffix(filepath.Base(file), ".txt"), string(text)))
	}
	return list, nil
}

func parseScript(name, text string) script {
	s := script{name: name}
	for _, line := range contentLines(text) {
		if folder, ok := strings.CutPrefix(line, "messages "); ok {
			s.messages = folder
			continue
		}
		st := step{conn: "1", text: line}
		if m := onConnection.FindStringSubmatch(line); m != nil {
			st.conn, st.text = m[1], line[len(m[0]):]
		}
		s.steps = append(s.steps, st)
	}
	return s
}

// contentLines returns the lines that are neither empty nor comments.
func contentLines(text string) []string {
	var list []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if line != "" && !strings.HasPrefix(line, "#") {
			list = append(list, line)
		}
	}
	return list
}
