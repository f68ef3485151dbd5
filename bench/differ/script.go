package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/quorumail/quorumail/bench/traffic"
)

// script is the commands of one file.
type script struct {
	name     string
	commands []string
}

// answer is what a server said to one command, normalised and sorted.
type answer []string

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
		list = append(list, script{
			name:     strings.TrimSuffix(filepath.Base(file), ".txt"),
			commands: contentLines(string(text)),
		})
	}
	return list, nil
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

// run sends the commands, each when the one before was answered.
func (s script) run(ctx context.Context, addr, user string, messages [][]byte) ([]answer, error) {
	c, err := traffic.Dial(ctx, addr, nil)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.Login(user, password); err != nil {
		return nil, err
	}
	if err := fill(c, messages); err != nil {
		return nil, err
	}
	var list []answer
	for _, command := range s.commands {
		reply, err := c.Cmd("%s", command)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", command, err)
		}
		list = append(list, normalise(reply))
	}
	return list, nil
}
