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
)

// session is one MTA's connection. go-smtp calls its methods one by one, but for
// Reset and Logout while a message that came in BDAT chunks is given up.
type session struct {
	s         *Server
	conn      *conn // nil if it is none of the server's own
	hello     string
	encrypted bool

	mu struct {
		sync.Mutex
		envelope
		receiving bool // LMTPData runs, or its message was given up
	}
}

// envelope is what a message is delivered by.
type envelope struct {
	from string
	utf8 bool // SMTPUTF8 was asked for
	to   []recipient
}

// maxPath bounds addresses, in octets: RFC 5321, 4.5.3.1.3 allows 256, RFC 6531
// longer ones.
const maxPath = 512

// recipient is who a message is for, and the account that gets it.
type recipient struct{ address, account string }

var _ smtp.LMTPSession = (*session)(nil)

func (s *Server) newSession(c *smtp.Conn) (smtp.Session, error) {
	n := &session{s: s, hello: c.Hostname()}
	n.conn, n.encrypted = connOf(c.Conn())
	return n, nil
}

// begin replaces the envelope; a transaction is under way if there is one.
func (s *session) begin(e envelope, busy bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.envelope = e
	if s.conn != nil {
		s.conn.setBusy(busy)
	}
}

// Reset implements smtp.Session. When it gives up a message that comes in BDAT
// chunks, go-smtp (v0.25.1) does not wait for its LMTPData, and takes what that
// returns for the answer to the next message. So there is no next one: the MTA is
// told to connect again.
func (s *session) Reset() {
	s.mu.Lock()
	receiving := s.mu.receiving
	s.mu.Unlock()
	if receiving && s.conn != nil {
		s.conn.abandon()
	}
	s.begin(envelope{}, false)
}

// Logout implements smtp.Session.
func (s *session) Logout() error {
	s.begin(envelope{}, false)
	return nil
}

// Mail implements smtp.Session.
func (s *session) Mail(from string, opts *smtp.MailOptions) error {
	if s.conn != nil && s.conn.abandoned() {
		return errReconnect
	}
	if len(from) > maxPath {
		return errBadAddress
	}
	s.begin(envelope{from: from, utf8: opts != nil && opts.UTF8}, true)
	return nil
}

// Rcpt implements smtp.Session: the recipient must have an account.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if len(to) > maxPath {
		return errBadAddress
	}
	ctx, cancel := context.WithTimeout(s.s.ctx, s.s.cfg.DeliveryTimeout)
	defer cancel()
	account, refused := s.s.find(ctx, to)
	if refused != nil {
		return refused
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.to = append(s.mu.to, recipient{to, account})
	return nil
}

// find returns the account of an address, or the answer why there is none.
func (s *Server) find(ctx context.Context, address string) (string, *smtp.SMTPError) {
	valid := false
	for _, name := range s.names(address) {
		account, err := imapnum.AccountName(name)
		if err != nil {
			continue
		}
		valid = true
		_, err = s.storage(account).GetAccount(ctx)
		switch {
		case err == nil:
			return account, nil
		case !errors.Is(err, client.ErrNoAccount):
			s.cfg.Log.Warn("recipient cannot be looked up", "recipient", address, "error", err)
			return "", storageError(err)
		}
	}
	if !valid {
		return "", errBadAddress
	}
	return "", errUnknownUser
}

// names returns the account names that an address may stand for, the most exact
// first: itself, then without its detail ("user+detail@domain", RFC 5233), then,
// if the host is this one, without the domain.
func (s *Server) names(address string) []string {
	local, domain := address, ""
	if i := strings.LastIndexByte(address, '@'); i >= 0 {
		local, domain = address[:i], address[i:]
	}
	locals := []string{local}
	if user, _, ok := strings.Cut(local, "+"); ok && user != "" {
		locals = append(locals, user)
	}
	var names []string
	for _, l := range locals {
		names = append(names, l+domain)
	}
	if strings.EqualFold(domain, "@"+s.cfg.Hostname) || strings.EqualFold(domain, "@localhost") {
		names = append(names, locals...)
	}
	return names
}

// receive notes that a message is received, and returns its envelope.
func (s *session) receive() envelope {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.receiving = true
	return s.mu.envelope
}

func (s *session) received() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.receiving = false
}

// Data implements smtp.Session; in LMTP it is LMTPData that is called.
func (s *session) Data(io.Reader) error { return errRejected }

// LMTPData implements smtp.LMTPSession: the message is read once, kept aside,
// and delivered to each recipient, who is answered for alone. It always reads r to
// its end: go-smtp answers a BDAT that was not taken whole once, not once for each
// recipient.
func (s *session) LMTPData(r io.Reader, status smtp.StatusCollector) error {
	if !s.s.receive() {
		return errLater
	}
	defer s.s.data.Done()
	env := s.receive()
	givenUp := false
	defer func() {
		// go-smtp ends r before it calls Reset, and this may have returned by then:
		// Reset must find out all the same.
		if !givenUp {
			s.received()
		}
	}()
	m, err := spool(r, s.s.cfg.SpoolDir)
	if err != nil {
		s.s.cfg.Log.Warn("message not received", "from", env.from, "recipients", len(env.to), "error", err)
		_, end := io.Copy(io.Discard, r) // an error has been told already
		givenUp = errors.Is(err, smtp.ErrDataReset) || errors.Is(end, smtp.ErrDataReset)
		return receiveError(err)
	}
	defer m.close()
	s.deliver(env, m, status)
	return errAborted // never nil: whom we have not answered for has nothing
}
