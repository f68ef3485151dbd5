package fault

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/quorumail/quorumail/bench/traffic"
)

// FullOptions say where a FullTest runs.
type FullOptions struct {
	// Bin is the quorumail binary; see Build.
	Bin string
	// Dir has the directories n1, n2 and n3, each the root of a small file system of its
	// own, which is filled to the last octet. Logs go beside them.
	Dir string
	// Out is where it is told what happens.
	Out io.Writer
}

const (
	// little is less than what a node wants free to accept writes, in octets.
	little = 200 << 20
	// guardTime is how long nodes may take to see that their disk is nearly full, or is
	// not any more.
	guardTime = 30 * time.Second
	// ballast is the file that fills a disk.
	ballast = "ballast"
)

// fullTest is one run of FullTest.
type fullTest struct {
	o       FullOptions
	cluster *Cluster
	conn    *traffic.Conn
	acked   map[string]bool // subjects of the messages that were taken
	sent    int
}

// FullTest fills the disks of a cluster. With the disk of one node full, clients notice
// nothing. With those of all nearly full, and then without a free octet, they are refused
// with NO [UNAVAILABLE] what would write, and can read; no node ends. When there is room
// again they can write, all that was acknowledged is there, once, nothing that was
// refused is, and the replicas are equal.
func FullTest(ctx context.Context, o FullOptions) (err error) {
	t := &fullTest{o: o, acked: make(map[string]bool)}
	if t.cluster, err = StartCluster(ctx, o.Bin, o.Dir, 3, 1); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.cluster.Close()) }()
	if err := t.cluster.AddUser(ctx, user, password); err != nil {
		return err
	}
	addr, err := t.cluster.IMAP(1)
	if err != nil {
		return err
	}
	if t.conn, err = openMailbox(ctx, addr, user); err != nil {
		return err
	}
	defer t.conn.Close()
	for _, stage := range []func(context.Context) error{t.oneFull, t.allFull, t.finishFull} {
		if err := stage(ctx); err != nil {
			return err
		}
	}
	return nil
}

// openMailbox logs in and has a message in INBOX selected.
func openMailbox(ctx context.Context, addr, name string) (*traffic.Conn, error) {
	conn, err := traffic.Dial(ctx, addr, nil)
	if err != nil {
		return nil, err
	}
	err = conn.Login(name, password)
	if err == nil {
		_, err = conn.Append("INBOX", nil, time.Now(), 17, strings.NewReader("Subject: x\r\n\r\nx\r\n"))
	}
	if err == nil {
		_, err = conn.OK("SELECT INBOX")
	}
	return conn, err
}

// append appends a message of some octets, and notes it if it was taken.
func (t *fullTest) append(octets int) error {
	t.sent++
	subject := fmt.Sprintf("message %d", t.sent)
	var b strings.Builder
	b.WriteString("Subject: " + subject + "\r\n\r\n")
	for line := make([]byte, 45); b.Len() < octets; {
		_, _ = rand.Read(line) // it never fails; what repeats would be packed
		b.WriteString(base64.StdEncoding.EncodeToString(line) + "\r\n")
	}
	text := b.String()
	_, err := t.conn.Append("INBOX", nil, time.Now(), int64(len(text)), strings.NewReader(text))
	if err == nil {
		t.acked[subject] = true
	}
	return err
}

// refused says whether a command was answered NO [UNAVAILABLE] (RFC 5530, 3).
func refused(err error) bool {
	var status *traffic.StatusError
	return errors.As(err, &status) && status.Status.Word == "NO" && status.Status.Code == "UNAVAILABLE"
}

// fill leaves so much of a node's disk free.
func (t *fullTest) fill(id string, leave int64) error {
	f, err := os.OpenFile(filepath.Join(t.cluster.DataDir(id), ballast), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for size := 1 << 20; size > 0; size >>= 1 { // the last octets singly
		for err == nil {
			_, err = f.Write(make([]byte, size))
		}
		if !isFull(err) {
			return fmt.Errorf("fill %s: %w", id, err)
		}
		err = nil
	}
	info, err := f.Stat()
	if err == nil && leave > 0 {
		err = f.Truncate(max(0, info.Size()-leave))
	}
	return err
}

// empty frees what fill took.
func (t *fullTest) empty(id string) error {
	return os.Remove(filepath.Join(t.cluster.DataDir(id), ballast))
}

func (t *fullTest) tell(format string, args ...any) { fmt.Fprintf(t.o.Out, format+"\n", args...) }

// oneFull fills the disk of the node that leads.
func (t *fullTest) oneFull(ctx context.Context) error {
	id, err := t.cluster.Leader(ctx, user)
	if err != nil {
		return err
	}
	if err := t.fill(id, little); err != nil {
		return err
	}
	began := time.Now()
	for now := id; now == id || !t.cluster.Node(id).logged("node is read-only"); {
		if err := t.append(100); err != nil {
			return fmt.Errorf("disk of %s is nearly full: %w", id, err)
		}
		if now, err = t.cluster.Leader(ctx, user); err != nil {
			return err
		}
		if time.Since(began) > guardTime {
			return fmt.Errorf("%s leads with a disk that is nearly full", id)
		}
	}
	t.tell("disk of leader %s nearly full: another leads after %v, all %d appends were taken", id, time.Since(began).Round(time.Second/10), t.sent)
	if err := t.fill(id, 0); err != nil {
		return err
	}
	p := t.cluster.Node(id)
	// More than a log's file has room for that was made before.
	for octets := 0; octets < 100<<20; octets += 1 << 20 {
		if err := t.append(1 << 20); err != nil {
			return fmt.Errorf("disk of %s is full: %w", id, err)
		}
	}
	how := "goes on"
	if !p.Alive() {
		how = fmt.Sprintf("has ended (%v)", p.exit())
		if !strings.Contains(p.tail(), "no space left") {
			return fmt.Errorf("%s %s, but not over its disk: %s", id, how, p.tail())
		}
	}
	t.tell("disk of %s without a free octet: it %s, all %d appends were taken", id, how, t.sent)
	if err := t.empty(id); err != nil {
		return err
	}
	if !p.Alive() {
		if err := t.cluster.StartNode(ctx, id); err != nil {
			return err
		}
	}
	if err := t.cluster.Verify(ctx); err != nil {
		return err
	}
	t.tell("%s has room again: replicas equal", id)
	return nil
}

// allFull fills the disks of all nodes.
func (t *fullTest) allFull(ctx context.Context) error {
	for _, id := range t.cluster.Nodes() {
		if err := t.fill(id, little); err != nil {
			return err
		}
	}
	began := time.Now()
	for {
		err := t.append(100)
		if refused(err) {
			t.tell("all disks nearly full: after %v, %v", time.Since(began).Round(time.Second/10), err)
			break
		}
		if err != nil {
			return fmt.Errorf("all disks are nearly full: %w", err)
		}
		if time.Since(began) > guardTime {
			return errors.New("appends are taken with all disks nearly full")
		}
		if err := Pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	for _, id := range t.cluster.Nodes() {
		if err := t.fill(id, 0); err != nil {
			return err
		}
	}
	for began := time.Now(); time.Since(began) < 15*time.Second; {
		if err := t.readOnly(); err != nil {
			return fmt.Errorf("all disks are full: %w", err)
		}
		if err := Pause(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
	for _, id := range t.cluster.Nodes() {
		if p := t.cluster.Node(id); !p.Alive() {
			return fmt.Errorf("%s has ended: %v\n%s", id, p.exit(), p.tail())
		}
	}
	t.tell("all disks without a free octet: for 15 s what reads is answered, and what writes is refused; no node has ended")
	for _, id := range t.cluster.Nodes() {
		if err := t.empty(id); err != nil {
			return err
		}
	}
	for began := time.Now(); ; {
		err := t.append(100)
		if err == nil {
			t.tell("room again: an append is taken after %v", time.Since(began).Round(time.Second/10))
			return nil
		}
		if !refused(err) || time.Since(began) > guardTime {
			return fmt.Errorf("there is room again: %w", err)
		}
	}
}

// readOnly sees that commands that read are done, and those that write are refused.
func (t *fullTest) readOnly() error {
	for _, cmd := range []string{"NOOP", "FETCH 1 (FLAGS BODY.PEEK[])", "SEARCH SUBJECT message", "STATUS INBOX (MESSAGES)"} {
		if _, err := t.conn.OK("%s", cmd); err != nil {
			return err
		}
	}
	for _, cmd := range []string{`STORE 1 +FLAGS (\Flagged)`, "CREATE other", "EXPUNGE", "COPY 1 INBOX"} {
		if _, err := t.conn.OK("%s", cmd); !refused(err) {
			return fmt.Errorf("%s: %v, want NO [UNAVAILABLE]", cmd, err)
		}
	}
	return nil
}

// finishFull compares what is there with what was acknowledged.
func (t *fullTest) finishFull(ctx context.Context) error {
	lines, err := t.conn.OK("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
	if err != nil {
		return err
	}
	there := make(map[string]int)
	for _, line := range lines {
		if _, rest, ok := strings.Cut(line, "Subject: "); ok {
			subject, _, _ := strings.Cut(rest, "\r\n")
			there[subject]++
		}
	}
	for subject := range t.acked {
		if there[subject] != 1 {
			return fmt.Errorf("%q was acknowledged, and is there %d times", subject, there[subject])
		}
		delete(there, subject)
	}
	delete(there, "x") // the one that openMailbox appends
	if len(there) > 0 {
		return fmt.Errorf("messages that were refused are there: %v", there)
	}
	if err := t.cluster.Verify(ctx); err != nil {
		return err
	}
	t.tell("%d appends sent, %d acknowledged, all of them there once, and nothing else; replicas equal", t.sent, len(t.acked))
	return nil
}
