// Package lmtpfront is where mail comes in: LMTP (RFC 2033), by which an MTA
// hands over messages for final delivery and is told, for each recipient, what
// became of it.
//
// # Promises
//
//   - 250 for a recipient means that the message is in the recipient's INBOX,
//     durable on a quorum of replicas. It is never said before.
//   - What may succeed later is answered with 4xx: the MTA keeps the message and
//     tries again. What never will is 5xx.
//   - When an answer is lost and the MTA delivers again, to whichever frontend, the
//     message is there once: see delivery.
//
// The protocol itself is emersion/go-smtp's: SIZE, 8BITMIME, SMTPUTF8, PIPELINING,
// ENHANCEDSTATUSCODES, CHUNKING, STARTTLS. BINARYMIME is not offered: a message with
// NUL octets cannot be shown by IMAP as it is (RFC 9051, 4.3.1).
//
// # Memory
//
// A message is read once and kept aside, in memory up to 1 MiB and in a file
// beyond, since each recipient's copy begins with other trace fields. From there
// it streams to storage in chunks, for a few recipients at once.
//
// # Goroutines
//
// go-smtp has one for each connection, and one while a message is received in
// BDAT chunks; a delivery has one for each recipient that it serves. Close and Shutdown
// return when all are gone.
package lmtpfront
