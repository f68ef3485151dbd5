package session

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/node/client/message"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

const (
	// maxMessages bounds one MULTIAPPEND.
	maxMessages = 1000
	// inlineTotal is how many octets of bodies ride in one entry, recordTotal how
	// many of what describes messages. What is more is staged.
	inlineTotal = 256 << 10
	recordTotal = 1 << 20
)

// appendExtensions are the capabilities about adding messages.
var appendExtensions = []string{"BINARY", "MULTIAPPEND", "CATENATE", "REPLACE"}

// append is APPEND (RFC 9051, 6.3.12) and MULTIAPPEND (RFC 3502): all messages
// are added by one entry, or none.
func (c *Conn) append(ctx context.Context, cmd wire.Append) error {
	at := c.at(cmd.Mailbox)
	tellsUIDs, err := c.mayReceive(ctx, at, cmd.First)
	if err != nil {
		return c.beforeLiteral(c.intoFailed(ctx, at, "APPEND", err))
	}
	msgs, err := c.receiveAll(ctx, at.store, cmd.First, maxMessages)
	if msgs == nil {
		return err
	}
	op := &pb.AppendOp{Mailbox: at.name, Messages: msgs}
	res, err := at.store.Propose(ctx, &pb.Entry{Op: &pb.Entry_Append{Append: op}})
	if err != nil {
		return c.fail("APPEND", err)
	}
	if res.GetCode() != pb.Code_CODE_OK {
		return c.refusedInto(ctx, at, res)
	}
	switch {
	case c.selects(at, res.GetMailboxId()):
		if err := c.pull(ctx, false); err == nil {
			c.tell(true)
		}
	case c.box != nil:
		c.catchUp(ctx, nil)
	}
	c.tellSpelling(cmd.Mailbox)
	code := ""
	if tellsUIDs {
		code = appendUID(res)
	}
	return c.ok(code, "APPEND done")
}

// mayReceive is mayInsert before a message is read, where that cannot wait for the
// entry: for another account's mailbox, and for what is catenated, since a missing
// mailbox goes before a bad URL (RFC 9051, 6.3.12).
func (c *Conn) mayReceive(ctx context.Context, at place, first wire.AppendMessage) (tellsUIDs bool, err error) {
	if at.owner == "" && !first.Catenate {
		return true, nil
	}
	return c.mayInsert(ctx, at)
}

// appendUID is the code that names the messages that an entry has added (RFC
// 9051, 7.1).
func appendUID(res *pb.Result) string {
	return "APPENDUID " + uitoa(uint64(res.GetUidValidity())) + " " + unpacked(res.GetUids()).String()
}

// receiveAll reads the messages of a command, of which there may be most. Bodies
// are passed on to store while they arrive. It returns nil if the command is over without
// them: refused, and answered.
func (c *Conn) receiveAll(ctx context.Context, store Store, msg wire.AppendMessage, most int) ([]*pb.AppendMessage, error) {
	var msgs []*pb.AppendMessage
	budget, records := inlineTotal, recordTotal
	for more := true; more; {
		if len(msgs) > 0 && most == 1 {
			return nil, c.wrongState("one message, and no more")
		}
		if refused, err := c.acceptable(msg, len(msgs), most); refused || err != nil {
			return nil, err
		}
		m, err := c.receive(ctx, store, msg, budget)
		if m == nil {
			return nil, err
		}
		for _, chunk := range m.GetInline() {
			budget -= len(chunk.GetData())
		}
		if records -= proto.Size(m.GetEmail()); records < 0 {
			if err := message.StageEmail(ctx, m, store); err != nil {
				return nil, c.notReceived(err)
			}
		}
		msgs = append(msgs, m)
		msg, more, err = c.r.AppendMessage()
		var syntax *wire.SyntaxError
		if errors.As(err, &syntax) {
			return nil, c.syntaxError(syntax)
		}
		if err != nil {
			return nil, err
		}
	}
	return msgs, nil
}

// acceptable refuses a message before its octets are read.
func (c *Conn) acceptable(msg wire.AppendMessage, before, most int) (refused bool, err error) {
	code, text := "", ""
	limit := c.cfg.Limits.Append
	switch {
	case before >= most:
		code, text = "LIMIT", "too many messages at once"
	case msg.Catenate:
		return false, nil // see catenation
	case msg.Literal.Size > limit:
		code, text = "TOOBIG", "a message may have "+uitoa(uint64(limit))+" octets"
	case msg.Literal.Size == 0:
		code, text = "", "a message without octets" // RFC 3502, 6.3.11
	default:
		return false, nil
	}
	return true, c.beforeLiteral(c.no(code, text))
}

// beforeLiteral ends a command that has been answered before its literal was asked
// for. The answer comes first: a client that sends on unasked may wait for it.
func (c *Conn) beforeLiteral(err error) error {
	if err != nil {
		return err
	}
	if err := c.w.Flush(); err != nil {
		return err
	}
	return c.r.RefuseLiteral()
}

// receive reads a message. It returns nil if there is none, having answered.
func (c *Conn) receive(ctx context.Context, store Store, msg wire.AppendMessage, budget int) (*pb.AppendMessage, error) {
	if budget <= 0 {
		budget = -1
	}
	c.in.setDeadline(time.Now().Add(c.cfg.IdleTimeout))
	m, err := c.read(ctx, store, msg, message.Options{Inline: budget})
	if err != nil {
		return nil, c.notReceived(err)
	}
	if m.GetEmail().GetSize() == 0 {
		return nil, c.no("", "a message without octets") // RFC 3502, 6.3.11
	}
	date := msg.Date
	if date.IsZero() {
		date = time.Now().UTC()
	}
	_, offset := date.Zone()
	m.Flags, m.InternalDate, m.ZoneMinutes = msg.Flags, date.Unix(), int32(offset/60)
	return m, nil
}

// read reads a message in one of its forms.
func (c *Conn) read(ctx context.Context, store Store, msg wire.AppendMessage, opts message.Options) (*pb.AppendMessage, error) {
	checked := func(r io.Reader) io.Reader {
		if c.utf8 {
			return r
		}
		return &asciiHeader{r: r}
	}
	if msg.Catenate {
		k := &catenation{c: c, ctx: ctx, left: uint64(c.cfg.Limits.Append)}
		defer k.close()
		return message.Read(ctx, checked(k), store, opts)
	}
	body, err := c.r.LiteralBody()
	if err != nil {
		return nil, connError{err}
	}
	if msg.Literal.Binary {
		return c.readBinary(ctx, checked(&renewing{body, c}), store, opts)
	}
	return message.Read(ctx, checked(&renewing{body, c}), store, opts)
}

// notReceived answers a command for why a message was not received, after what is
// left of it.
func (c *Conn) notReceived(err error) error {
	var syntax *wire.SyntaxError
	var badURL *badURLError
	switch {
	case c.w.Err() != nil || isConnError(err):
		return err
	case errors.As(err, &syntax):
		return c.syntaxError(syntax)
	}
	if err := c.r.RefuseLiteral(); err != nil {
		return err
	}
	switch {
	case errors.As(err, &badURL):
		return c.no(wire.BadURL(badURL.url), err.Error()) // RFC 4469, 4.1
	case errors.Is(err, errTooBig):
		return c.no("TOOBIG", err.Error()) // RFC 4469, 4.2
	case errors.Is(err, errHeaderOctets):
		return c.no("", err.Error()) // RFC 6855, 4
	case errors.Is(err, errTooManyParts):
		return c.no("LIMIT", err.Error())
	case errors.Is(err, message.ErrNUL):
		return c.no("UNKNOWN-CTE", err.Error()) // RFC 3516, 4.4
	}
	return c.fail("APPEND", err)
}

// readBinary reads a message that may have NUL octets. If it has, it is read
// again as it is to be stored, with transfer encodings that hide them; only then,
// since what is signed must not be changed without need (RFC 3516, 6).
func (c *Conn) readBinary(ctx context.Context, r io.Reader, store Store, opts message.Options) (*pb.AppendMessage, error) {
	kept := &spool{dir: c.cfg.SpoolDir}
	defer kept.close()
	m, err := message.Read(ctx, io.TeeReader(r, kept), store, opts)
	if err != nil || !kept.hasNUL {
		return m, err
	}
	again, err := kept.reader()
	if err != nil {
		return nil, err
	}
	encoded, err := message.WithoutNUL(again, kept.size)
	if err != nil {
		return nil, err
	}
	return message.Read(ctx, encoded, store, opts)
}

// renewing gives a client that keeps sending the time it needs.
type renewing struct {
	r io.Reader
	c *Conn
}

func (r *renewing) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if n > 0 {
		r.c.in.setDeadline(time.Now().Add(r.c.cfg.IdleTimeout))
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = connError{err}
	}
	return n, err
}

// connError marks an error of the client's connection.
type connError struct{ error }

func (e connError) Unwrap() error { return e.error }

func isConnError(err error) bool {
	var e connError
	return errors.As(err, &e)
}
