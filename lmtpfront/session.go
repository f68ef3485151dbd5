package lmtpfront

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/emersion/go-smtp"

	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// deliveries is how many recipients of one message are served at once.
const deliveries = 8

// Answers (RFC 5321, 4.2; RFC 3463).
var (
	errUnknownUser = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user here"}
	errLater       = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "storage cannot be reached now; try again later"}
	errTooBig      = &smtp.SMTPError{Code: 552, EnhancedCode: smtp.EnhancedCode{5, 3, 4}, Message: "message too big"}
	errFull        = &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 2, 2}, Message: "mailbox is full"}
	errRejected    = &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 3, 0}, Message: "message cannot be stored"}
	errBadAddress  = &smtp.SMTPError{Code: 553, EnhancedCode: smtp.EnhancedCode{5, 1, 3}, Message: "not an address"}
)

// session is one MTA's connection. go-smtp calls its methods one by one.
type session struct {
	s    *Server
	conn *smtp.Conn
	from string
	to   []recipient
}

// recipient is who a message is for, and the account that gets it.
type recipient struct{ address, account string }

// Reset implements smtp.Session.
func (s *session) Reset() { s.from, s.to = "", nil }

// Logout implements smtp.Session.
func (s *session) Logout() error { return nil }

// Mail implements smtp.Session.
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return nil
}

// Rcpt implements smtp.Session: the recipient must have an account.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.s.cfg.DeliveryTimeout)
	defer cancel()
	account, err := s.s.find(ctx, to)
	if err != nil {
		return err
	}
	s.to = append(s.to, recipient{to, account})
	return nil
}

// find returns the account of an address: of its own name, or, if there is none,
// of the name without a detail ("user+detail@domain", RFC 5233).
func (s *Server) find(ctx context.Context, address string) (string, error) {
	names := []string{address}
	local, domain, found := strings.Cut(address, "@")
	if user, _, ok := strings.Cut(local, "+"); ok && user != "" {
		if found {
			user += "@" + domain
		}
		names = append(names, user)
	}
	for _, name := range names {
		account, err := imapnum.AccountName(name)
		if err != nil {
			return "", errBadAddress
		}
		_, err = s.storage(account).GetAccount(ctx)
		switch {
		case err == nil:
			return account, nil
		case errors.Is(err, client.ErrNoAccount):
		default:
			s.cfg.Log.Warn("recipient cannot be looked up", "recipient", name, "error", err)
			return "", errLater
		}
	}
	return "", errUnknownUser
}

// Data implements smtp.Session; LMTP uses LMTPData.
func (s *session) Data(io.Reader) error { return errRejected }

// LMTPData implements smtp.LMTPSession: the message is read once, kept aside,
// and delivered to each recipient, who is answered for alone.
func (s *session) LMTPData(r io.Reader, status smtp.StatusCollector) error {
	m, err := spool(r)
	if err != nil {
		if errors.Is(err, smtp.ErrDataTooLarge) {
			return errTooBig
		}
		s.s.cfg.Log.Warn("message cannot be received", "error", err)
		return errLater
	}
	defer m.close()
	var wg sync.WaitGroup
	slots := make(chan struct{}, deliveries)
	for _, to := range s.to {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			status.SetStatus(to.address, s.deliver(to, m))
		})
	}
	wg.Wait()
	return nil
}

// deliver puts the message into one INBOX.
func (s *session) deliver(to recipient, m *spooled) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.s.cfg.DeliveryTimeout)
	defer cancel()
	log := s.s.cfg.Log.With("account", to.account, "from", s.from)
	entry, err := s.entry(ctx, to, m)
	if err != nil {
		log.Warn("delivery failed", "error", err)
		return errLater
	}
	res, err := s.s.storage(to.account).Propose(ctx, entry)
	switch {
	case err == nil:
	case client.Retryable(err) || ctx.Err() != nil:
		log.Warn("delivery failed", "error", err)
		return errLater
	default:
		log.Error("delivery failed", "error", err)
		return errLater
	}
	switch res.GetCode() {
	case pb.Code_CODE_OK:
		log.Info("delivered", "size", entry.GetAppend().GetMessages()[0].GetEmail().GetSize(), "again", res.GetRepeated())
		return nil
	case pb.Code_CODE_NO_ACCOUNT:
		return errUnknownUser
	case pb.Code_CODE_OVER_QUOTA, pb.Code_CODE_LIMIT:
		return errFull
	case pb.Code_CODE_NO_BODY:
		return errLater // what was staged has expired
	}
	log.Error("delivery refused", "code", res.GetCode(), "detail", res.GetDetail())
	return errRejected
}
