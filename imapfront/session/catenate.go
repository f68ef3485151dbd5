package session

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/quorumail/quorumail/imapfront/section"
	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/node/client/message"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// maxParts bounds the parts of one message that is catenated.
const maxParts = 1000

// catenation reads a message that CATENATE puts together (RFC 4469): literals as
// they come from the client, what URLs refer to as it comes from storage. Nothing
// is held.
type catenation struct {
	c    *Conn
	ctx  context.Context
	left uint64 // octets that the message may yet have

	parts  int
	part   io.Reader     // nil: the next one is to be looked for
	url    io.ReadCloser // part, if it is of a URL
	binary bool          // part is a literal8
	done   bool
	boxes  map[string]*urlMailbox // those that URLs have named
}

// Errors of what a client wants catenated.
var (
	errTooBig       = errors.New("the message is too large")
	errTooManyParts = errors.New("too many parts")
)

// badURLError says that a URL refers to nothing.
type badURLError struct{ url string }

func (e *badURLError) Error() string {
	return "the URL does not refer to a message, or a part of one, that is here"
}

// Read implements io.Reader. Its errors are *wire.SyntaxError, *badURLError, those
// above, message.ErrNUL, connError and what storage says.
func (k *catenation) Read(p []byte) (int, error) {
	for {
		if k.done {
			return 0, io.EOF
		}
		if k.part == nil {
			if err := k.next(); err != nil {
				return 0, err
			}
			continue
		}
		n, err := k.part.Read(p)
		if uint64(n) > k.left {
			return 0, errTooBig
		}
		k.left -= uint64(n)
		if k.binary && bytes.IndexByte(p[:n], 0) >= 0 {
			return 0, message.ErrNUL
		}
		if err == io.EOF {
			k.close()
			err = nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// next begins the next part.
func (k *catenation) next() error {
	part, more, err := k.c.r.CatenatePart()
	var syntax *wire.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return err
	case err != nil:
		return connError{err}
	case !more:
		k.done = true
		return nil
	}
	if k.parts++; k.parts > maxParts {
		return errTooManyParts
	}
	if part.URL != "" {
		return k.openURL(part.URL)
	}
	if uint64(part.Literal.Size) > k.left {
		return errTooBig
	}
	body, err := k.c.r.LiteralBody()
	if err != nil {
		return connError{err}
	}
	k.part, k.binary = &renewing{body, k.c}, part.Literal.Binary
	return nil
}

// close ends the part that is being read.
func (k *catenation) close() {
	if k.url != nil {
		_ = k.url.Close() // what it had to say has been read, or is not wanted
	}
	k.part, k.url = nil, nil
}

// urlMailbox is a mailbox that a URL has named.
type urlMailbox struct {
	place    place
	info     *pb.MailboxInfo
	selected bool
}

// openURL begins to read what a URL refers to, as FETCH BODY would tell it.
func (k *catenation) openURL(url string) error {
	selected := ""
	if k.c.box != nil {
		selected = k.c.box.name
	}
	u, err := wire.ParseMessageURL(url, selected)
	if err != nil {
		return &badURLError{url}
	}
	box, err := k.mailbox(u.Mailbox)
	if err != nil {
		return notThere(url, err)
	}
	if u.UIDValidity != 0 && u.UIDValidity != box.info.GetUidValidity() {
		return &badURLError{url}
	}
	// What this session has not been told to be gone is there for it.
	expunged := box.selected && k.c.box.view.SeqNum(imapnum.UID(u.UID)) != 0
	src := &octets{ctx: k.ctx, store: box.place.store, mailbox: box.info.GetId(), uid: u.UID, expunged: expunged}
	email, err := src.email()
	if err != nil {
		return notThere(url, err)
	}
	r, ok := section.Find(email, u.Section)
	if email == nil || !ok {
		return &badURLError{url}
	}
	if len(u.Section.Fields) == 0 {
		if r = r.Cut(u.Section.Partial); r.Length > k.left {
			return errTooBig
		}
	}
	k.url = src.open(r, u.Section)
	k.part, k.binary = k.url, false
	return nil
}

// notThere returns what an error of storage means for a URL.
func notThere(url string, err error) error {
	for _, gone := range []error{client.ErrNoMailbox, client.ErrNoAccount, client.ErrNoPermission} {
		if errors.Is(err, gone) {
			return &badURLError{url}
		}
	}
	return err
}

// mailbox opens a mailbox by its name.
func (k *catenation) mailbox(name string) (*urlMailbox, error) {
	if box := k.boxes[name]; box != nil {
		return box, nil
	}
	at := k.c.at(name)
	opened, err := at.store.OpenMailbox(k.ctx, at.name, 0, nil, nil)
	if err != nil {
		return nil, err
	}
	box := &urlMailbox{place: at, info: opened.GetInfo(), selected: k.c.selects(at, opened.GetInfo().GetId())}
	if k.boxes == nil {
		k.boxes = make(map[string]*urlMailbox)
	}
	k.boxes[name] = box
	return box, nil
}

// email returns a message's content record; nil if there is no such message.
func (o *octets) email() (email *pb.Email, err error) {
	err = o.store.Fetch(o.ctx, &pb.FetchRequest{
		MailboxId: o.mailbox, Uids: packed(imapnum.SetOf(imapnum.UID(o.uid))), IncludeExpunged: o.expunged, Structure: true,
	}, func(r *pb.FetchResponse) error {
		if m := r.GetMessage(); m != nil {
			email = m.GetEmail()
		}
		return nil
	})
	return email, err
}

// open reads a range of the message, and of a header only the fields that s asks
// for. Close ends it.
func (o *octets) open(r section.Range, s *wire.Section) io.ReadCloser {
	pr, pw := io.Pipe()
	p := &pipe{PipeReader: pr, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		var err error
		if len(s.Fields) == 0 {
			err = o.write(r, pw)
		} else {
			fields := section.NewFieldFilter(section.NewWindow(pw, s.Partial), s.Fields, s.Specifier == "HEADER.FIELDS.NOT")
			if err = o.write(r, fields); err == nil {
				err = fields.Close()
			}
		}
		_ = pw.CloseWithError(err) // never fails
	}()
	return p
}

// pipe is the reading end of what a goroutine writes; Close waits for its end.
type pipe struct {
	*io.PipeReader
	done chan struct{}
}

func (p *pipe) Close() error {
	err := p.PipeReader.Close()
	<-p.done
	return err
}
