// Command differ sends the same IMAP commands to a private Dovecot and to
// Quorumail, and compares what they answer.
//
// A script (scripts/*.txt) is steps, one a line; "#" starts a comment. Each script
// runs as a user of its own, whose INBOX has the files of messages/, in their
// order, or those of messages/NAME after a line "messages NAME". A step is a
// command, or
//
//	let NAME = VALUE    keep what was told last of UIDVALIDITY, UIDNEXT,
//	                    HIGHESTMODSEQ or MODSEQ; commands say it by $(NAME)
//	IDLE, DONE          begin and end to idle
//	UNTIL TEXT          wait until an idling connection is told a line with TEXT
//
// "2: " before a step is another connection. {{TEXT}} is a literal, "\n" in it
// CRLF.
//
// Answers are normalised: what RFC 9051 leaves to a server doesn't count (see
// normalise), and mod-sequences are named by what the script has kept. Every line
// that only one of the two sends is a difference, and so is another order of those
// that both send.
//
// expected.txt lists the differences that are known, each below the short name
// of its reason, which imapfront/CONFORMANCE.md explains with the sentence that
// decides it. A difference that is not listed is a failure; so is a line of the
// list that matches none.
//
// run.sh builds and starts what is needed.
package main
