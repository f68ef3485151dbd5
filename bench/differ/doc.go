// Command differ sends the same IMAP commands to a private Dovecot and to
// Quorumail, and compares what they answer.
//
// A script (scripts/*.txt) is commands, one a line; "#" starts a comment. Each
// runs as a user of its own, whose INBOX has the files of messages/, in their
// order. Answers are normalised: what RFC 9051 leaves to a server doesn't count
// (see normalise). Every line that only one of the two sends is a difference.
//
// expected.txt lists the differences that are known, each below the short name
// of its reason, which imapfront/CONFORMANCE.md explains with the sentence that
// decides it. One that is not listed is a failure; so is one that is listed and
// did not come up.
//
// run.sh builds and starts what is needed.
package main
