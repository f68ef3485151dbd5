package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/quorumail/quorumail/bench/corpus"
	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/node/client/message"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

const (
	// demoMessages is how many messages the demonstration has; the last demoUnread
	// of them have not been read.
	demoMessages = 300
	demoUnread   = 25
	demoSeed     = 1
)

// fillDemo fills the first user's INBOX, once in the life of the data directory.
func fillDemo(ctx context.Context, c *client.Client, cfg *devConfig, dir *devDir, stderr io.Writer) error {
	if !cfg.demo || dir.state.Demo {
		return nil
	}
	account := cfg.users[0].name
	s := c.Session(account)
	mail := corpus.New(demoSeed)
	bar := newProgress(stderr, "demo mail for "+account, demoMessages)
	for i := range demoMessages {
		if err := appendDemo(ctx, s, mail, i); err != nil {
			bar.end()
			return fmt.Errorf("dev: demo: message %d: %w", i, err)
		}
		bar.step()
	}
	bar.end()
	dir.state.Demo = true
	return dir.save()
}

func appendDemo(ctx context.Context, s *client.Session, mail *corpus.Corpus, i int) error {
	msg, err := message.Read(ctx, bytes.NewReader(mail.Message(i)), s, message.Options{})
	if err != nil {
		return err
	}
	msg.InternalDate = mail.Date(i).Unix()
	if i < demoMessages-demoUnread {
		msg.Flags = []string{`\Seen`}
	}
	id := sha256.Sum256(fmt.Appendf(nil, "demo %d.%d", demoSeed, i))
	return mutate(ctx, s, &pb.Entry{Op: &pb.Entry_Append{Append: &pb.AppendOp{
		Mailbox: "INBOX", Messages: []*pb.AppendMessage{msg},
		// A start that was interrupted is taken up by the next without doubles.
		DeliveryId: id[:],
	}}})
}

// progress shows how far something has come: a bar on a terminal, otherwise a
// line now and then.
type progress struct {
	w           io.Writer
	what        string
	done, total int
	bar         bool
	shown       int // tenths that were told without a bar
}

func newProgress(w io.Writer, what string, total int) *progress {
	f, ok := w.(*os.File)
	p := &progress{w: w, what: what, total: total, bar: ok && term.IsTerminal(int(f.Fd()))}
	p.show()
	return p
}

func (p *progress) step() {
	p.done++
	p.show()
}

// barWidth is the bar's width in columns.
const barWidth = 30

func (p *progress) show() {
	if p.bar {
		n := p.done * barWidth / p.total
		fmt.Fprintf(p.w, "\r%s [%s%s] %d/%d", p.what, strings.Repeat("#", n), strings.Repeat(".", barWidth-n), p.done, p.total)
		return
	}
	if tenth := p.done * 10 / p.total; tenth > p.shown {
		p.shown = tenth
		fmt.Fprintf(p.w, "%s: %d/%d\n", p.what, p.done, p.total)
	}
}

// end leaves the bar's line.
func (p *progress) end() {
	if p.bar {
		fmt.Fprintln(p.w)
	}
}
