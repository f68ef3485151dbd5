package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/quorumail/quorumail/bench/dovecot"
	"github.com/quorumail/quorumail/bench/traffic"
)

// user is who runs script i, on both servers.
func user(i int) string { return fmt.Sprintf("differ%02d@example.org", i+1) }

const password = "secret"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "differ:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("differ", flag.ContinueOnError)
	addr := flags.String("imap", "", "where Quorumail serves IMAP, with the users of -users")
	dir := flags.String("dir", "", "empty directory for Dovecot, an absolute path")
	root := flags.String("files", "bench/differ", "where scripts, messages and expected.txt are")
	users := flags.Bool("users", false, "only print the users that the scripts need, as name:password")
	if err := flags.Parse(args); err != nil {
		return err
	}
	scripts, err := readScripts(filepath.Join(*root, "scripts"))
	if err != nil {
		return err
	}
	cfg := dovecot.Config{Dir: *dir, Users: make(map[string]string)}
	for i := range scripts {
		cfg.Users[user(i)] = password
		if *users {
			fmt.Println(user(i) + ":" + password)
		}
	}
	if *users {
		return nil
	}
	known, err := readExpected(filepath.Join(*root, "expected.txt"))
	if err != nil {
		return err
	}
	messages, err := readMessages(filepath.Join(*root, "messages"))
	if err != nil {
		return err
	}
	other, err := dovecot.Start(ctx, cfg)
	if err != nil {
		return err
	}
	var found []string
	for i, s := range scripts {
		var theirs, ours []answer
		if theirs, err = s.run(ctx, other.Addr(), user(i), messages); err != nil {
			err = fmt.Errorf("%s: Dovecot: %w", s.name, err)
			break
		}
		if ours, err = s.run(ctx, *addr, user(i), messages); err != nil {
			err = fmt.Errorf("%s: Quorumail: %w", s.name, err)
			break
		}
		found = append(found, differences(s, theirs, ours)...)
	}
	if err := errors.Join(err, other.Close()); err != nil {
		return err
	}
	return judge(os.Stdout, known, found)
}

// readMessages reads the files of a directory, in the order of their names.
func readMessages(dir string) ([][]byte, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.eml"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no messages in %s", dir)
	}
	var list [][]byte
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		list = append(list, bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")))
	}
	return list, nil
}

// fill appends the messages to INBOX, each a day after the one before.
func fill(c *traffic.Conn, messages [][]byte) error {
	date := time.Date(2024, time.May, 1, 12, 0, 0, 0, time.UTC)
	for i, m := range messages {
		if _, err := c.Append("INBOX", nil, date.AddDate(0, 0, i), int64(len(m)), bytes.NewReader(m)); err != nil {
			return err
		}
	}
	return nil
}
