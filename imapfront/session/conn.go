package session

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"time"

	"github.com/quorumail/quorumail/imapfront/auth"
	"github.com/quorumail/quorumail/imapfront/deflate"
	"github.com/quorumail/quorumail/imapfront/wire"
)

// Config is what all connections of a server share.
type Config struct {
	// Storage starts a session for an account, on whose behalf actor says; empty:
	// its owner's. Both names are normalised.
	Storage func(account, actor string) Store
	// Verifier checks passwords.
	Verifier *auth.Verifier
	// Secret returns what all frontends of the cluster know and clients do not; it
	// is called once storage has been reached.
	Secret func() string
	// TLS is offered by STARTTLS; nil: it is not.
	TLS *tls.Config
	// Limits of what clients send.
	Limits wire.Limits
	// LoginTimeout ends connections that have not logged in; IdleTimeout those
	// that send nothing (RFC 9051, 5.4: at least 30 minutes); WriteTimeout those
	// that take nothing.
	LoginTimeout, IdleTimeout, WriteTimeout time.Duration
	// SpoolDir is where large messages are kept that may have to be read again;
	// empty: that of the system.
	SpoolDir string
	// ProgressEvery is how often a client that waits for a search is told that it is
	// under way (RFC 9585).
	ProgressEvery time.Duration
	// MaxNotices is how many responses NOTIFY may cause at once before it is given
	// up (RFC 5465, 5.8).
	MaxNotices int
	// Log; never nil.
	Log *slog.Logger
	// Version is told by ID.
	Version string
	// NoUnauthenticate takes UNAUTHENTICATE away (RFC 8437, 8).
	NoUnauthenticate bool
	// Scram offers SCRAM-SHA-256 and, over TLS, SCRAM-SHA-256-PLUS.
	Scram bool
	// Metadata is the server's shared annotations, by name in lower case (RFC 5464,
	// 3.2.1.1).
	Metadata map[string]string
	// Admins are the accounts that may set quotas and see those of others.
	Admins map[string]bool
}

// maxErrors is how many bad commands in a row a connection may send; one that
// has not logged in gets few: it is more likely no IMAP client at all.
const (
	maxErrors      = 50
	maxLoginErrors = 10
)

// state is a connection's state (RFC 9051, 3).
type state int

const (
	notAuthenticated state = iota
	authenticated
	selected
	loggedOut
)

// Conn is one client's connection. Serve runs it; Drain may be called from any
// goroutine.
type Conn struct {
	cfg    *Config
	net    net.Conn
	secure bool // TLS
	in     inlet
	r      *wire.Reader
	w      *wire.Writer
	log    *slog.Logger

	// inflate is where r reads from, once the client has asked for compression, and
	// deflate, as long as there is, where w writes to.
	inflate *deflate.Reader
	deflate *deflate.Writer

	state state
	store Store
	box   *mailbox // of state selected
	// owners are stores of other accounts, by their names.
	owners map[string]Store
	// annotations is what the client knows of its own account's, if it has enabled
	// METADATA; sharers, of others'.
	annotations *annotations
	sharers     *sharers // nil unless it has enabled METADATA and not used NOTIFY
	notify      *notify  // nil until NOTIFY is first used
	tag         string   // of the command under way

	condstore, qresync, rev2, uidonly bool
	utf8Accept                        bool // UTF8=ACCEPT has been enabled
	utf8                              bool // that or IMAP4rev2, which both bring UTF-8
	errors                            int  // bad commands in a row
	idling                            bool // in IDLE
}

// New returns a connection over c; secure if it is TLS already.
func New(cfg *Config, c net.Conn, secure bool) *Conn {
	conn := &Conn{cfg: cfg, net: c, secure: secure, log: cfg.Log.With("remote", c.RemoteAddr().String())}
	conn.in.reset(c)
	conn.r = wire.NewReader(&conn.in, cfg.Limits, conn.proceed)
	conn.in.between = conn.r.Between
	conn.w = wire.NewWriter(deadlineWriter{conn})
	return conn
}

// deadlineWriter gives each write its time: a client that takes nothing must not
// hold a connection for ever.
type deadlineWriter struct{ c *Conn }

func (d deadlineWriter) Write(p []byte) (int, error) {
	if err := d.c.net.SetWriteDeadline(time.Now().Add(d.c.cfg.WriteTimeout)); err != nil {
		return 0, err
	}
	return d.c.net.Write(p)
}

// proceed asks the client for a literal.
func (c *Conn) proceed() error {
	c.w.Continue("go on")
	return c.w.Flush()
}

// errBye ends a connection after what has been said.
var errBye = errors.New("connection ends")

// Serve speaks with the client until it leaves, ctx ends or the connection
// breaks, and closes the connection.
func (c *Conn) Serve(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, c.in.end)
	defer stop()
	c.in.onWake = func() error { return c.woken(ctx) }
	defer c.endNotify()
	defer func() { _ = c.net.Close() }() // nothing more is expected of it
	defer c.leave()
	defer c.disableMetadata()
	defer c.contain()
	started := time.Now()
	c.in.setDeadline(started.Add(c.cfg.LoginTimeout)) // also of a TLS handshake, which comes with the first octet
	if t, ok := c.net.(*tls.Conn); ok {
		if err := t.HandshakeContext(ctx); err != nil { // what is offered depends on it
			c.log.Debug("connection ends", "error", err)
			return
		}
	}
	c.w.Status("*", "OK", "CAPABILITY "+c.capabilities(), "Quorumail ready")
	if err := c.w.Flush(); err != nil {
		return
	}
	for c.state != loggedOut {
		if err := c.next(ctx, started); err != nil {
			if !errors.Is(err, errBye) && !errors.Is(err, io.EOF) {
				c.log.Debug("connection ends", "error", err)
			}
			break
		}
	}
	_ = c.w.Flush() // the connection is closed either way
}

// contain ends this connection, and no other, if it has come upon a bug: a
// frontend serves tens of thousands, and none of them shares its state.
func (c *Conn) contain() {
	if p := recover(); p != nil {
		c.log.Error("connection ends by a bug", "panic", p, "stack", string(debug.Stack()))
		c.w.Status("*", "BYE", "SERVERBUG", "internal error")
		_ = c.w.Flush() // as far as it goes
	}
}

// next reads one command and executes it. An error ends the connection.
func (c *Conn) next(ctx context.Context, started time.Time) error {
	deadline := time.Now().Add(c.cfg.IdleTimeout)
	if c.state == notAuthenticated {
		deadline = started.Add(c.cfg.LoginTimeout)
	}
	if !c.in.rest(deadline) {
		return c.bye("UNAVAILABLE", "server shuts down")
	}
	// What is left of the last command must not be taken for the beginning of one.
	if err := c.r.RefuseLiteral(); err != nil {
		return c.readError(ctx, err)
	}
	c.in.armed = c.notify.listens()
	tag, cmd, err := c.r.ReadCommand()
	c.in.armed = false
	c.in.busy()
	c.tag = tag
	var syntax *wire.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return c.syntaxError(syntax)
	case err != nil:
		return c.readError(ctx, err)
	}
	err = c.execute(ctx, cmd)
	if err == nil {
		err = c.afterCommand(ctx)
	}
	if err == nil {
		err = c.w.Flush()
	}
	return err
}

// Drain asks the connection to end at the next command's boundary.
func (c *Conn) Drain() { c.in.drain() }

// readError says BYE for an error of reading, where there is one to say it to.
func (c *Conn) readError(ctx context.Context, err error) error {
	var timeout net.Error
	switch {
	case errors.Is(err, errClient):
		return err
	case errors.Is(err, wire.ErrTLS):
		return c.bye("", "this port speaks no TLS before STARTTLS")
	case errors.Is(err, wire.ErrTooLong):
		return c.bye("TOOBIG", "too much at once")
	case errors.Is(err, deflate.ErrCorrupt):
		return c.bye("", "what comes is not compressed")
	case errors.Is(err, wire.ErrGarbage):
		return c.bye("", "this is no IMAP")
	case c.in.draining() || ctx.Err() != nil:
		return c.bye("UNAVAILABLE", "server shuts down")
	case errors.As(err, &timeout) && timeout.Timeout():
		return c.bye("", "autologout: nothing was heard for too long")
	}
	return err
}

func (c *Conn) bye(code, text string) error {
	c.w.Status("*", "BYE", code, text)
	return errBye
}

// syntaxError answers a command that is not one.
func (c *Conn) syntaxError(e *wire.SyntaxError) error {
	c.errors++
	limit := maxErrors
	if c.state == notAuthenticated {
		limit = maxLoginErrors
	}
	if c.errors > limit {
		return c.bye("", "too many bad commands")
	}
	tag := e.Tag
	if tag == "" {
		tag = c.tag
	}
	status := "BAD"
	if e.No || e.Code == "TOOBIG" {
		status = "NO"
	}
	c.w.Status(tag, status, e.Code, e.Text)
	return c.w.Flush()
}

// ok, no and bad are a command's tagged answers.
func (c *Conn) ok(code, text string) error {
	if c.state != notAuthenticated {
		c.errors = 0
	}
	return c.answer("OK", code, text)
}

// done is the answer OK of a command that must not tell expunges. It tells that
// there are some (RFC 5530, 3).
func (c *Conn) done(text string) error {
	if c.box.view.Gone().Empty() {
		return c.ok("", text)
	}
	return c.ok("EXPUNGEISSUED", text)
}

func (c *Conn) no(code, text string) error  { return c.answer("NO", code, text) }
func (c *Conn) bad(code, text string) error { return c.answer("BAD", code, text) }

func (c *Conn) answer(status, code, text string) error {
	c.settleModSeqs(code)
	c.w.Status(c.tag, status, code, text)
	return c.w.Err()
}

// execute does what a command asks, in the states that allow it (RFC 9051, 6).
func (c *Conn) execute(ctx context.Context, cmd wire.Command) error {
	switch cmd := cmd.(type) {
	case wire.Capability:
		c.w.Untagged("CAPABILITY ", c.capabilities())
		return c.ok("", "CAPABILITY done")
	case wire.ID:
		return c.id(cmd)
	case wire.Logout:
		c.state = loggedOut
		c.w.Untagged("BYE until next time")
		return c.ok("", "LOGOUT done")
	case wire.Noop:
		return c.noop(ctx, "NOOP")
	}
	c.tellMetadata(ctx, false)
	switch {
	case c.state == notAuthenticated:
		return c.executeNotAuthenticated(ctx, cmd)
	case c.uidonly && namesNumbers(cmd):
		return c.uidRequired()
	case c.state == selected:
		if done, err := c.executeSelected(ctx, cmd); done {
			return err
		}
	}
	return c.executeAuthenticated(ctx, cmd)
}

func (c *Conn) executeNotAuthenticated(ctx context.Context, cmd wire.Command) error {
	switch cmd := cmd.(type) {
	case wire.StartTLS:
		return c.startTLS()
	case wire.Login:
		return c.login(ctx, cmd)
	case wire.Authenticate:
		return c.authenticate(ctx, cmd)
	case wire.Append, wire.Replace:
		// Its literal must not be asked for.
		if err := c.r.RefuseLiteral(); err != nil {
			return err
		}
	}
	return c.wrongState("log in first")
}

// wrongState answers a command that the state does not allow. Unlike what is no
// command it does not count against the client.
func (c *Conn) wrongState(text string) error { return c.bad("", text) }

func (c *Conn) executeAuthenticated(ctx context.Context, cmd wire.Command) error {
	if c.box != nil {
		c.catchUp(ctx, cmd)
	}
	switch cmd := cmd.(type) {
	case wire.Enable:
		return c.enable(ctx, cmd)
	case wire.Select:
		return c.doSelect(ctx, cmd)
	case wire.Create:
		return c.create(ctx, cmd)
	case wire.Delete:
		return c.delete(ctx, cmd)
	case wire.Rename:
		return c.rename(ctx, cmd)
	case wire.Subscribe:
		return c.subscribe(ctx, cmd)
	case wire.List:
		return c.list(ctx, cmd)
	case wire.Status:
		return c.status(ctx, cmd)
	case wire.GetMetadata:
		return c.getMetadata(ctx, cmd)
	case wire.SetMetadata:
		return c.setMetadata(ctx, cmd)
	case wire.GetQuota:
		return c.getQuota(ctx, cmd)
	case wire.GetQuotaRoot:
		return c.getQuotaRoot(ctx, cmd)
	case wire.SetQuota:
		return c.setQuota(ctx, cmd)
	case wire.SetACL:
		return c.setACL(ctx, cmd)
	case wire.DeleteACL:
		return c.deleteACL(ctx, cmd)
	case wire.GetACL:
		return c.getACL(ctx, cmd)
	case wire.ListRights:
		return c.listRights(ctx, cmd)
	case wire.MyRights:
		return c.myRights(ctx, cmd)
	case wire.Append:
		return c.append(ctx, cmd)
	case wire.ESearch:
		return c.esearch(ctx, cmd)
	case wire.Namespace:
		c.w.Untagged(`NAMESPACE (("" "/")) (("`, othersPrefix, `" "/")) NIL`)
		return c.ok("", "NAMESPACE done")
	case wire.Notify:
		return c.setNotify(ctx, cmd)
	case wire.Idle:
		return c.idle(ctx)
	case wire.Compress:
		return c.compress(cmd)
	case wire.Unauthenticate:
		if c.cfg.NoUnauthenticate {
			return c.wrongState("UNAUTHENTICATE is not offered here")
		}
		return c.unauthenticate()
	case wire.Login, wire.Authenticate:
		return c.wrongState("already logged in")
	case wire.StartTLS:
		return c.wrongState("STARTTLS comes before login")
	}
	return c.wrongState("select a mailbox first")
}

// executeSelected does the commands that need a mailbox; done is false for
// others.
func (c *Conn) executeSelected(ctx context.Context, cmd wire.Command) (done bool, err error) {
	switch cmd := cmd.(type) {
	case wire.Check:
		return true, c.noop(ctx, "CHECK")
	case wire.Close:
		return true, c.closeMailbox(ctx)
	case wire.Unselect:
		c.leave()
		return true, c.ok("", "UNSELECT done")
	case wire.Expunge:
		return true, c.expunge(ctx, cmd)
	case wire.Search:
		return true, c.search(ctx, cmd)
	case wire.CancelUpdate:
		return true, c.cancelUpdate(cmd)
	case wire.Sort:
		return true, c.sort(ctx, cmd)
	case wire.Thread:
		return true, c.thread(ctx, cmd)
	case wire.Fetch:
		return true, c.fetch(ctx, cmd)
	case wire.Store:
		return true, c.storeFlags(ctx, cmd)
	case wire.Copy:
		return true, c.copy(ctx, cmd)
	case wire.Replace:
		return true, c.replace(ctx, cmd)
	}
	return false, nil
}

// startTLS begins TLS (RFC 9051, 6.2.1). What the client has sent along with the
// command is taken for the beginning of its handshake, and never for a part of
// the secured stream.
func (c *Conn) startTLS() error {
	if c.cfg.TLS == nil || c.secure {
		return c.wrongState("STARTTLS is not available")
	}
	if err := c.ok("", "begin TLS now"); err != nil {
		return err
	}
	if err := c.w.Flush(); err != nil {
		return err
	}
	t := tls.Server(&preread{Conn: c.net, octets: c.r.Rest()}, c.cfg.TLS)
	if err := t.Handshake(); err != nil { // the deadline is that of reading a command
		return err
	}
	c.net, c.secure = t, true
	c.in.reset(t)
	c.inflate = nil
	c.r.Reset(&c.in)
	return nil
}

// preread is a connection of which some octets have been read already.
type preread struct {
	net.Conn
	octets []byte
}

func (p *preread) Read(b []byte) (int, error) {
	if len(p.octets) == 0 {
		return p.Conn.Read(b)
	}
	n := copy(b, p.octets)
	p.octets = p.octets[n:]
	return n, nil
}
