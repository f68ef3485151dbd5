// Package load measures IMAP servers: scenarios that drive any server by its
// address, bounded in count and time, and a comparison that runs them in turn
// against Quorumail and Dovecot on one machine.
//
// Only public protocols are used, by [traffic]. Each scenario checks what it is
// told: an append that is not there afterwards, or a FETCH that forgets a
// message, is an error and not a figure.
//
// # How figures come about
//
// A [Scenario] prepares mailboxes, not timed, then runs rounds. A comparison
// alternates rounds between the servers, so that what else happens on the
// machine hits both. A scenario's figure is the median of its rounds; latencies
// of all rounds share one HDR histogram. Load generator and servers share the
// machine's cores, for both servers alike.
//
// [Command] is the command "bench" of the quorumail binary.
package load
