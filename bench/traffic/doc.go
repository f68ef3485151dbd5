// Package traffic is an IMAP client for load generators and checkers: small,
// fast, raw, and strict about what the server sends.
//
// It knows the grammar of responses (RFC 9051, section 9) as far as it must to
// find their ends, and the few rules that tie responses together; what they say
// is left to the caller, as lines. Client libraries that build values from each
// response measure themselves more than the server, and forgive what a checker
// must see.
//
// # Use
//
//	c, err := traffic.Dial(ctx, "127.0.0.1:1143", nil)
//	err = c.Login("alice@example.org", "secret")
//	lines, err := c.OK("SELECT %s", traffic.Quote("INBOX"))
//	uid, err := c.Append("INBOX", nil, time.Time{}, size, body)
//	reply, err := c.Cmd("UID STORE %d (UNCHANGEDSINCE %d) +FLAGS (\\Seen)", uid.UID(), modseq)
//
// [Conn.Cmd] returns whatever the server answered; [Conn.OK] makes NO and BAD an
// error of type [*StatusError]. [Conn.Run] hands lines and literals to callbacks
// instead of collecting them, which is how large results are read in constant
// memory. [Conn.Start] and [Conn.Wait] pipeline commands. [Conn.Observe] sees
// all untagged responses.
//
// # Strictness
//
// A response that breaks a rule ends the connection with a [*ProtocolError]
// that cites it: lines without CRLF, unbalanced parentheses, tags that nobody
// waits for, sequence numbers above EXISTS, EXISTS that shrinks without EXPUNGE,
// EXPUNGE during FETCH, STORE or SEARCH (RFC 9051, 7.5.1), EXPUNGE or a missing
// VANISHED right after ENABLE QRESYNC (RFC 7162, 3.2.10), a HIGHESTMODSEQ that
// goes back.
//
// # Concurrency
//
// A Conn belongs to one goroutine at a time and starts none: responses are read
// while a command is waited for. The context of Dial is the connection's life;
// when it ends, the connection is closed and calls that wait return. Close may
// be called from any goroutine. Each command has the deadline of its Dialer.
package traffic
