// Package wire is the grammar of IMAP on a connection: it parses commands and
// prints responses. It knows no mailbox and no state but what the grammar
// itself depends on: whether mailbox names are UTF-8 or modified UTF-7, and how
// large things may be.
//
// [Reader] turns the octets of a client into [Command] values (RFC 9051, 9, with
// RFC 3501 and the extensions that command.go names). Every size is bounded,
// and after a syntax error the next command is found exactly where it begins.
// Message literals of APPEND are not read but handed out as a stream.
//
// [Writer] prints responses, each in the form that the grammar asks for the
// octets at hand; no data can end a line or a string early.
//
// A Reader and a Writer belong to one goroutine each.
package wire
