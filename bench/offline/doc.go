// Package offline is the cache of a disconnected mail client that speaks QRESYNC:
// what it may keep of a mailbox, and how what a server tells changes that, by
// RFC 7162, 6 to the letter and no kinder.
//
// A client can lose its connection after any answer. What it has kept by then,
// brought up by one SELECT with QRESYNC, must be the mailbox. So a [Cache] takes
// nothing for granted that the standard does not promise: it moves its
// HIGHESTMODSEQ where the text says MUST, which is the furthest that it may.
package offline
