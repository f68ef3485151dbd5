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

	"github.com/quorumail/quorumail/bench/dovecot"
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
	cfg := dovecot.Config{Dir: *dir, Metadata: true, Users: make(map[string]string)}
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
	other, err := dovecot.Start(ctx, cfg)
	if err != nil {
		return err
	}
	var found []string
	steps := 0
	for i, s := range scripts {
		var list []string
		if list, err = compare(ctx, s, *root, user(i), other.Addr(), *addr); err != nil {
			break
		}
		found = append(found, list...)
		steps += len(s.steps)
	}
	if err := errors.Join(err, other.Close()); err != nil {
		return err
	}
	fmt.Printf("%d scripts, %d steps\n", len(scripts), steps)
	return judge(os.Stdout, known, found)
}

// compare runs one script on both servers, and returns how they differ.
func compare(ctx context.Context, s script, root, user, theirAddr, ourAddr string) ([]string, error) {
	messages, err := readMessages(filepath.Join(root, "messages", s.messages))
	if err != nil {
		return nil, err
	}
	theirs, err := play(ctx, s, theirAddr, user, messages)
	if err != nil {
		return nil, fmt.Errorf("%s: Dovecot: %w", s.name, err)
	}
	ours, err := play(ctx, s, ourAddr, user, messages)
	if err != nil {
		return nil, fmt.Errorf("%s: Quorumail: %w", s.name, err)
	}
	return differences(s, theirs, ours), nil
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
