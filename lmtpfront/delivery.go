package lmtpfront

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/quorumail/quorumail/node/client/message"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// deliveries is how many recipients of one message are served at once.
const deliveries = 8

// deliver puts a message into the INBOX of each recipient and answers for each.
func (s *session) deliver(env envelope, m *spooled, status smtp.StatusCollector) {
	ctx, cancel := context.WithTimeout(s.s.ctx, 5*s.s.cfg.DeliveryTimeout)
	defer cancel()
	var wg sync.WaitGroup
	slots := make(chan struct{}, deliveries)
	for _, to := range env.to {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			s.answer(status, to, s.deliverTo(ctx, env, to, m))
		})
	}
	wg.Wait()
}

// answer tells what became of the message for one recipient. go-smtp panics if it
// believes that it has been told before. Reset sees to it that it has no reason
// to; should it yet, an answer that is lost is asked for again.
func (s *session) answer(status smtp.StatusCollector, to recipient, refused *smtp.SMTPError) {
	defer func() {
		if v := recover(); v != nil {
			s.s.cfg.Log.Error("answer lost", "recipient", to.address, "cause", v)
		}
	}()
	if refused == nil {
		status.SetStatus(to.address, nil) // not a nil *SMTPError in an error
		return
	}
	status.SetStatus(to.address, refused)
}

// deliverTo puts a message into one INBOX; nil: it is there.
func (s *session) deliverTo(ctx context.Context, env envelope, to recipient, m *spooled) *smtp.SMTPError {
	ctx, cancel := context.WithTimeout(ctx, s.s.cfg.DeliveryTimeout)
	defer cancel()
	log := s.s.cfg.Log.With("account", to.account, "from", env.from)
	storage := s.s.storage(to.account)
	entry, err := s.entry(ctx, env, to, m, storage)
	if err != nil {
		log.Warn("message not staged", "error", err)
		return storageError(err)
	}
	res, err := storage.Propose(ctx, entry)
	if err != nil {
		log.Warn("message not delivered", "error", err)
		return storageError(err)
	}
	if res.GetCode() != pb.Code_CODE_OK {
		log.Warn("message refused", "code", res.GetCode(), "detail", res.GetDetail())
		return refusal(res.GetCode())
	}
	e := entry.GetAppend().GetMessages()[0].GetEmail()
	log.Info("message delivered", "size", e.GetSize(), "message_id", string(e.GetEnvelope().GetMessageId()), "again", res.GetRepeated())
	return nil
}

// entry makes the proposal that appends a message to an INBOX, with the trace
// fields of final delivery before it. Large messages are staged on the way.
func (s *session) entry(ctx context.Context, env envelope, to recipient, m *spooled, storage Storage) (*pb.Entry, error) {
	now := time.Now()
	r := io.MultiReader(strings.NewReader(s.trace(env, to.address, now)), m.reader())
	msg, err := message.Read(ctx, r, storage, message.Options{})
	if err != nil {
		return nil, err
	}
	_, offset := now.Zone()
	msg.InternalDate, msg.ZoneMinutes = now.Unix(), int32(offset/60)
	op := &pb.AppendOp{Mailbox: "INBOX", Messages: []*pb.AppendMessage{msg}}
	// An MTA that has lost our answer sends the same octets again, and the state
	// machine then returns what it did the first time. Octets that are equal with
	// their Message-ID are one message (RFC 5322, 3.6.4). Without one, two messages
	// may be equal and yet two, as a machine's hourly "disk is full" with no date, and
	// losing mail is worse than having it twice.
	if len(msg.GetEmail().GetEnvelope().GetMessageId()) > 0 {
		op.DeliveryId = deliveryID(env.from, to.address, m.hash)
	}
	return &pb.Entry{Op: &pb.Entry_Append{Append: op}}, nil
}

// deliveryID names a delivery: from this sender, to this recipient, of these
// octets as they were received, since what we add differs each time.
func deliveryID(from, to string, octets [sha256.Size]byte) []byte {
	h := sha256.New()
	fmt.Fprintf(h, "%d:%s%d:%s", len(from), from, len(to), to)
	h.Write(octets[:])
	return h.Sum(nil)
}
