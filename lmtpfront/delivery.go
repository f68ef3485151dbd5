package lmtpfront

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"
	"time"

	"github.com/quorumail/quorumail/node/client/message"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// inMemory is how much of a message is kept in memory before it goes to a file.
const inMemory = 1 << 20

// spooled is a received message, to be read once for each recipient.
type spooled struct {
	memory []byte
	file   *os.File // if it is larger than inMemory: all of it
	size   int64
	hash   [sha256.Size]byte
}

// spool reads a message to its end. The error is that of r, or of the disk.
func spool(r io.Reader) (m *spooled, err error) {
	h := sha256.New()
	r = io.TeeReader(r, h)
	m = &spooled{}
	m.memory, err = io.ReadAll(io.LimitReader(r, inMemory))
	if err != nil {
		return nil, err
	}
	m.size = int64(len(m.memory))
	if m.size == inMemory {
		if err := m.toFile(r); err != nil {
			m.close()
			return nil, err
		}
	}
	h.Sum(m.hash[:0])
	return m, nil
}

func (m *spooled) toFile(r io.Reader) (err error) {
	if m.file, err = os.CreateTemp("", "quorumail-lmtp-*"); err != nil {
		return err
	}
	// No name: it is gone with the process, however that ends.
	if err := os.Remove(m.file.Name()); err != nil {
		return err
	}
	if _, err := m.file.Write(m.memory); err != nil {
		return err
	}
	m.memory = nil
	n, err := io.Copy(m.file, r)
	m.size += n
	return err
}

// reader returns the message from its start. Readers are independent.
func (m *spooled) reader() io.Reader {
	if m.file != nil {
		return io.NewSectionReader(m.file, 0, m.size)
	}
	return bytes.NewReader(m.memory)
}

func (m *spooled) close() {
	if m.file != nil {
		_ = m.file.Close() // what was in it has been stored, or refused
	}
}

// entry makes the proposal that appends the message to a recipient's INBOX,
// with the trace fields of final delivery before it (RFC 5321, 4.4).
func (s *session) entry(ctx context.Context, to recipient, m *spooled) (*pb.Entry, error) {
	now := time.Now()
	trace := s.trace(to.address, now)
	msg, err := message.Read(ctx, io.MultiReader(strings.NewReader(trace), m.reader()), s.s.storage(to.account), message.Options{})
	if err != nil {
		return nil, err
	}
	_, offset := now.Zone()
	msg.InternalDate, msg.ZoneMinutes = now.Unix(), int32(offset/60)
	op := &pb.AppendOp{Mailbox: "INBOX", Messages: []*pb.AppendMessage{msg}}
	// An MTA that has lost our answer sends the same octets again, and the state
	// machine then returns what it did the first time. Two different messages
	// that are equal octet by octet are told apart by their Message-ID, which is
	// unique (RFC 5322, 3.6.4); without one they cannot be, and losing mail is
	// worse than having it twice.
	if msg.GetEmail().GetEnvelope().GetMessageId() != nil {
		op.DeliveryId = deliveryID(s.from, to.address, m.hash)
	}
	return &pb.Entry{Op: &pb.Entry_Append{Append: op}}, nil
}

// deliveryID names a delivery: of these octets, as received, from this sender to
// this recipient.
func deliveryID(from, to string, octets [sha256.Size]byte) []byte {
	h := sha256.New()
	for _, part := range []string{from, to} {
		writePart(h, part)
	}
	h.Write(octets[:])
	return h.Sum(nil)
}

func writePart(h hash.Hash, part string) {
	fmt.Fprintf(h, "%d:%s", len(part), part)
}

// trace is Return-Path, Delivered-To and Received.
func (s *session) trace(to string, now time.Time) string {
	peer := "unknown"
	if addr := s.conn.Conn().RemoteAddr(); addr != nil {
		peer = addr.String()
	}
	return fmt.Sprintf("Return-Path: <%s>\r\nDelivered-To: %s\r\nReceived: from %s (%s)\r\n\tby %s with LMTP;\r\n\t%s\r\n",
		clean(s.from), clean(to), clean(s.conn.Hostname()), clean(peer), clean(s.s.cfg.Hostname),
		now.Format("Mon, 2 Jan 2006 15:04:05 -0700"))
}

// clean keeps what comes from a client from ending a header line.
func clean(v string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, v)
}
