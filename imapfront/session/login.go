package session

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/quorumail/quorumail/imapfront/auth"
	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// capabilities lists what is supported in the connection's state.
func (c *Conn) capabilities() string {
	caps := []string{"IMAP4rev1", "IMAP4rev2", "LITERAL+", "SASL-IR", "ID", "ENABLE"}
	if c.state == notAuthenticated {
		if c.cfg.TLS != nil && !c.secure {
			caps = append(caps, "STARTTLS")
		}
		if c.mayLogin() {
			caps = append(caps, "AUTH=PLAIN")
			if c.cfg.Scram {
				caps = append(caps, "AUTH="+scramSHA256)
			}
			if c.cfg.Scram && c.binding().IsSupported() {
				caps = append(caps, "AUTH="+scramSHA256Plus)
			}
			return strings.Join(caps, " ")
		}
		return strings.Join(append(caps, "LOGINDISABLED"), " ")
	}
	caps = append(append(caps, searchExtensions...), appendExtensions...)
	if !c.cfg.NoUnauthenticate {
		caps = append(caps, "UNAUTHENTICATE")
	}
	return strings.Join(append(caps, "IDLE", "NAMESPACE", "CHILDREN", "UIDPLUS", "UNSELECT", "MOVE", "ESEARCH", "SEARCHRES",
		"WITHIN", "LIST-EXTENDED", "LIST-STATUS", "SPECIAL-USE", "CREATE-SPECIAL-USE", "STATUS=SIZE", "CONDSTORE",
		"QRESYNC", "OBJECTID", "SAVEDATE", "PREVIEW", "UTF8=ACCEPT", "UIDONLY", "NOTIFY",
		"ACL", "RIGHTS=kxte", "LIST-MYRIGHTS", "METADATA", "LIST-METADATA", "QUOTA", "QUOTASET",
		"QUOTA=RES-STORAGE", "QUOTA=RES-MESSAGE", "QUOTA=RES-MAILBOX", "COMPRESS=DEFLATE",
		"SORT", "SORT=DISPLAY", "ESORT", "THREAD=ORDEREDSUBJECT", "THREAD=REFERENCES", "I18NLEVEL=1", "INPROGRESS",
		"APPENDLIMIT="+uitoa(uint64(c.cfg.Limits.Append))), " ")
}

// mayLogin reports whether a password may be sent as the connection is: a server
// that has TLS wants it used.
func (c *Conn) mayLogin() bool { return c.secure || c.cfg.TLS == nil }

func (c *Conn) login(ctx context.Context, cmd wire.Login) error {
	return c.check(ctx, "", cmd.User, cmd.Password)
}

// authenticate runs a SASL exchange (RFC 9051, 6.2.2; RFC 4959).
func (c *Conn) authenticate(ctx context.Context, cmd wire.Authenticate) error {
	var exchange func() error
	switch {
	case cmd.Mechanism == "PLAIN":
		exchange = func() error { return c.plain(ctx, cmd.Initial) }
	case !c.cfg.Scram:
	case cmd.Mechanism == scramSHA256:
		exchange = func() error { return c.scram(ctx, cmd.Initial, false) }
	case cmd.Mechanism == scramSHA256Plus && c.binding().IsSupported():
		exchange = func() error { return c.scram(ctx, cmd.Initial, true) }
	}
	switch {
	case exchange == nil:
		return c.no("", "no such mechanism")
	case !c.mayLogin():
		return c.privacyRequired() // before the password is asked for
	}
	return exchange()
}

// plain is the mechanism PLAIN.
func (c *Conn) plain(ctx context.Context, msg []byte) error {
	if msg == nil {
		var answered bool
		var err error
		if msg, answered, err = c.challenge(ctx, ""); answered {
			return err
		}
	}
	identity, user, password, ok := auth.ParsePlain(msg)
	if !ok {
		return c.failLogin("malformed response")
	}
	return c.check(ctx, identity, user, password)
}

// challenge sends a challenge of a SASL exchange and returns the client's response;
// answered if there is none and the command is over, with the error that it ends in.
func (c *Conn) challenge(ctx context.Context, text string) (response []byte, answered bool, err error) {
	c.w.Raw("+ ", base64.StdEncoding.EncodeToString([]byte(text)), "\r\n")
	if err := c.w.Flush(); err != nil {
		return nil, true, err
	}
	line, err := c.r.ReadLine(8192)
	var syntax *wire.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return nil, true, c.syntaxError(&wire.SyntaxError{Tag: c.tag, Text: "not a response to a challenge"})
	case err != nil:
		return nil, true, c.readError(ctx, err)
	case line == "*":
		return nil, true, c.bad("", "AUTHENTICATE given up")
	}
	if response, err = base64.StdEncoding.DecodeString(line); err != nil {
		return nil, true, c.syntaxError(&wire.SyntaxError{Tag: c.tag, Text: "not base64"})
	}
	return response, false, nil
}

// privacyRequired refuses a password that would be sent in the clear.
func (c *Conn) privacyRequired() error { return c.no("PRIVACYREQUIRED", "use STARTTLS first") }

// check logs in if the password is right. Nobody may act as another identity,
// which is told only to who has the password.
func (c *Conn) check(ctx context.Context, identity, user, password string) error {
	if !c.mayLogin() {
		return c.privacyRequired()
	}
	account, err := c.cfg.Verifier.Verify(ctx, user, password, c.credentials)
	switch {
	case errors.Is(err, auth.ErrDenied):
		return c.failLogin(err.Error())
	case err != nil:
		return c.fail("LOGIN", err)
	}
	if !mayActAs(account, identity) {
		return c.notAllowedToAct()
	}
	return c.loggedIn(account)
}

// mayActAs reports whether an account may act as an identity: as itself only.
func mayActAs(account, identity string) bool {
	as, err := imapnum.AccountName(identity)
	return identity == "" || err == nil && as == account
}

func (c *Conn) notAllowedToAct() error {
	return c.no("AUTHORIZATIONFAILED", "not allowed to act as another user")
}

// loggedIn has the connection go on as an account's.
func (c *Conn) loggedIn(account string) error {
	c.state, c.errors = authenticated, 0
	c.store = noting{c.cfg.Storage(account, ""), c}
	c.log = c.log.With("account", account)
	c.log.Info("logged in")
	return c.ok("CAPABILITY "+c.capabilities(), "logged in")
}

// failLogin answers a wrong password. Connections that guess on are ended.
func (c *Conn) failLogin(text string) error {
	c.log.Info("login failed")
	if c.errors++; c.errors > maxLoginErrors {
		return c.bye("", "too many failed logins")
	}
	return c.no("AUTHENTICATIONFAILED", text)
}

// credentials looks an account up.
func (c *Conn) credentials(ctx context.Context, account string) (*pb.Credentials, error) {
	a, err := c.cfg.Storage(account, "").GetAccount(ctx)
	if errors.Is(err, client.ErrNoAccount) {
		return nil, nil
	}
	return a.GetCredentials(), err
}

// unauthenticate is RFC 8437: back to the state after the greeting.
func (c *Conn) unauthenticate() error {
	c.leave()
	c.endNotify()
	c.disableMetadata()
	c.state, c.store, c.owners = notAuthenticated, nil, nil
	c.condstore, c.qresync, c.rev2, c.utf8Accept, c.uidonly = false, false, false, false, false
	c.setUTF8(false)
	if err := c.ok("", "UNAUTHENTICATE done"); err != nil {
		return err
	}
	return c.endCompression()
}

func (c *Conn) setUTF8(on bool) {
	c.utf8 = on
	c.r.SetUTF8(on)
	c.w.SetUTF8(on)
}

// enable is RFC 5161, 3.1; QRESYNC brings CONDSTORE along (RFC 7162, 3.2.3).
func (c *Conn) enable(ctx context.Context, cmd wire.Enable) error {
	// What can fail comes first: then nothing has been enabled.
	metadata := slices.Contains(cmd.Capabilities, "METADATA") && (c.annotations == nil || !c.annotations.enabled)
	if metadata {
		if err := c.enableMetadata(ctx); err != nil {
			return c.fail("ENABLE", err)
		}
	}
	var enabled []string
	turnOn := func(flag *bool, name string) {
		if !*flag {
			*flag = true
			enabled = append(enabled, name)
		}
	}
	condstore := c.condstore
	for _, name := range cmd.Capabilities {
		switch name {
		case "CONDSTORE":
			c.enableCondstore()
			turnOn(&condstore, name)
		case "QRESYNC":
			c.enableCondstore()
			turnOn(&c.qresync, name)
		case "UIDONLY":
			turnOn(&c.uidonly, name)
		case "METADATA": // RFC 5464, 4.1
			if metadata {
				metadata = false
				enabled = append(enabled, name)
			}
		case "IMAP4REV2":
			turnOn(&c.rev2, "IMAP4rev2")
			c.setUTF8(true)
		case "UTF8=ACCEPT":
			turnOn(&c.utf8Accept, name)
			c.setUTF8(true)
		}
	}
	c.w.Raw("* ENABLED")
	for _, name := range enabled {
		c.w.Raw(" ", name)
	}
	c.w.CRLF()
	return c.ok("", "ENABLE done")
}

// id is RFC 2971.
func (c *Conn) id(cmd wire.ID) error {
	if len(cmd.Fields) > 0 {
		c.log.Debug("client", "id", cmd.Fields)
	}
	c.w.Raw(`* ID ("name" "Quorumail" "version" `).String(c.cfg.Version).Raw(")").CRLF()
	return c.ok("", "ID done")
}
