// Package witness is clients at work that write down what they ask for and what
// they are told, for package check to judge.
//
// A [Crew] of workers shares one mailbox: they append, flag, expunge, look at it
// and idle in it, each on its own connection, over the public protocol. Nothing
// that a worker is told is forgiven: NO, BAD, BYE, a connection that closes, an
// answer that breaks the protocol ends it with an error.
//
// [Crew.Pause] brings all workers that write to a halt between two commands, so
// that what they have done can be compared with what the mailbox holds.
//
// # Goroutines
//
// Each worker is one goroutine, started by [Crew.Start]; [Crew.Stop] waits for
// all of them.
package witness
