// Package wire is the grammar of IMAP on a connection: it parses commands and
// prints responses. It knows no mailbox and no state but what the grammar
// itself depends on: whether mailbox names are UTF-8 or modified UTF-7, and how
// large things may be.
//
// [Reader] turns the octets of a client into [Command] values (RFC 9051, 9, with
// RFC 3501 and the extensions that command.go names). Message literals of APPEND
// are not read but handed out as a stream.
//
// [Writer] prints responses, each in the form that the grammar asks for the
// octets at hand; no data can end a line or a string early.
//
// A Reader and a Writer belong to one goroutine each.
//
// # Bounds
//
// Whatever a client sends, a command takes at most what [Limits] says: its lines
// and its argument literals are each bounded together, and memory is taken as
// octets arrive, not as they are announced. Lists, numbers of a part, nested
// search keys and patterns have bounds of their own, since each item costs more
// than its octets. A silent connection holds about one KiB.
//
// # After a mistake
//
// The next command begins after the line that ends the wrong one. A literal that
// this line announces is not asked for if the client waits to be asked (RFC 9051,
// 4.3); if it does not wait, it is read and dropped, with the line that follows
// it, and so on: no octet of a literal is ever taken for a command. Where that
// cannot be kept with reasonable effort (sizes beyond the bounds, lines without
// end, many lines without a tag, a TLS handshake), the error is final.
//
// # What is forgiven
//
// The grammar is taken at its word (RFC 9051, 2.2.2), but for one thing: LF alone
// ends a line, as people who type have it.
package wire
