// Command fill appends messages to a mailbox, fast: many commands are under way at
// once (RFC 9051, 5.5).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/quorumail/quorumail/bench/traffic"
)

// window is how many commands are sent ahead of their answers.
const window = 100

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "fill:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("fill", flag.ContinueOnError)
	addr := flags.String("imap", "127.0.0.1:1143", "address of the IMAP server")
	user := flags.String("user", "alice@example.org", "account")
	password := flags.String("password", "secret", "its password")
	mailbox := flags.String("mailbox", "INBOX", "mailbox; created if it is not there")
	count := flags.Int("count", 5000, "messages")
	if err := flags.Parse(args); err != nil {
		return err
	}
	c, err := traffic.Dial(ctx, *addr, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Login(*user, *password); err != nil {
		return err
	}
	if err := create(c, *mailbox); err != nil {
		return err
	}
	began := time.Now()
	if err := fill(c, *mailbox, *count); err != nil {
		return err
	}
	fmt.Printf("appended %d messages in %.1f s\n", *count, time.Since(began).Seconds())
	return c.Logout()
}

// create creates the mailbox unless it exists.
func create(c *traffic.Conn, mailbox string) error {
	reply, err := c.Cmd("CREATE %s", traffic.Quote(mailbox))
	if err != nil {
		return err
	}
	if _, exists := reply.Status.CodeArg("ALREADYEXISTS"); !reply.Status.OK() && !exists {
		return errors.New(reply.Status.String())
	}
	return nil
}

func fill(c *traffic.Conn, mailbox string, count int) error {
	var pending []*traffic.Pending
	wait := func(most int) error {
		for len(pending) > most {
			if _, err := c.WaitAppend(pending[0]); err != nil {
				return err
			}
			pending = pending[1:]
		}
		return nil
	}
	for n := 1; n <= count; n++ {
		text := message(n)
		p, err := c.StartAppend(mailbox, traffic.Message{Size: int64(len(text)), Body: strings.NewReader(text)})
		if err != nil {
			return err
		}
		pending = append(pending, p)
		if err := wait(window - 1); err != nil {
			return err
		}
	}
	return wait(0)
}

func message(n int) string {
	return fmt.Sprintf("From: Filler <filler@example.org>\r\nTo: alice@example.org\r\n"+
		"Subject: message %d\r\nMessage-ID: <%d@fill.example>\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\n\r\n"+
		"This is message %d.\r\n%s\r\n", n, n, n, strings.Repeat("It has a line of text.\r\n", n%50))
}
