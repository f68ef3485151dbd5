// Package wire is the grammar of IMAP on a connection: it parses commands and
// prints responses. It knows no mailbox and no state but what the grammar
// itself depends on (UTF-8 or modified UTF-7 names, literal limits).
package wire
