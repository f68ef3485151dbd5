// Package check judges what clients of a mail store were told.
//
// It is given two kinds of evidence, and is a function of them:
//
//   - A history: what each client asked for, when it asked, and what it was told.
//     [History.Check] finds messages that were lost, doubled or brought back, UIDs
//     used twice, numbers that went back.
//   - A resynchronisation: the state that a client had kept, what the server said
//     has changed since (RFC 7162, 3.2.5), and what the mailbox really holds.
//     [Resync.Check] finds what the server concealed, invented, or told in vain.
//
// # What is not known
//
// A command that was never answered may have been done, or not, or be done
// later. Such commands are part of a history: each of their possible outcomes is
// accepted. What cannot be judged is only if they were done more than once, and
// where that leaves a trace, as a message that is there twice, it is judged.
//
// The package knows nothing of sockets or processes, so that each check can be
// tested with a history made by hand that it must condemn.
package check
