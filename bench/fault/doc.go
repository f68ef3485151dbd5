// Package fault runs a cluster as real processes and does to it what machines
// do: it kills them with SIGKILL, stops them with SIGSTOP, starts them again; and
// it says to a frontend what no mail client would.
//
// The cluster is the quorumail binary, driven by its command line and judged over
// the protocols that it serves. Nothing of the server is linked into the judge.
//
// [KillTest] is the scenario that the README's promises rest on: while clients of
// package witness work through two frontends, leaders are killed; the clients must
// be answered OK after a pause, on the connections that they have, and what they
// were told must be true.
package fault
