// Package transcript runs protocol transcripts: text files that say what
// several connections send to an IMAP server, and what they must and must not
// be told. The shape is that of Dovecot's imaptest scripts, made strict.
//
// A transcript starts with comment lines (#) that name the RFC and section it
// shows, then has headers, then steps:
//
//	# RFC 9051, 7.5.1: no EXPUNGE while FETCH is in progress.
//	connections: 2
//	messages: 3
//	enable: QRESYNC
//
//	1 ok uid store 2 +flags.silent (\Deleted)
//	1 ok uid expunge 2
//	* VANISHED 2
//	2 ok fetch 3 (uid)
//	* 3 FETCH (UID 3)
//	! VANISHED
//
// # Headers
//
//   - connections: how many there are (default 1).
//   - messages: how many are appended to INBOX first, as UIDs 1 to n. Message n
//     has the subject "message n" and the body "body n\r\n". A session has been
//     told of them, so that they are not \Recent.
//   - state: what each connection does first: "none", "auth" (log in) or
//     "selected" (also SELECT INBOX; the default).
//   - users: names of users, one for each connection, whose number it sets: "users:
//     alice bob alice" are two connections of one account and one of another,
//     whose names are $alice and $bob. INBOX above is the first's.
//   - enable: capabilities that each connection enables after it has logged in.
//
// # Steps
//
// A step is a connection's number, then one of:
//
//   - ok, no or bad, then a response code pattern in brackets, if one is to be
//     checked, "[-]" for none, then a command. The command is sent and its tagged
//     answer awaited.
//   - send and a command: sent without waiting; wait, then ok, no or bad: waits
//     for the oldest command not yet answered.
//   - expect: waits for untagged lines to come by themselves.
//   - idle: sends IDLE and waits for "+"; done: ends it.
//   - raw and a Go string literal in quotes: sent as it is; bye: the server must
//     say BYE and close; compress: from now on all is compressed (RFC 4978); close:
//     the client hangs up; open: it connects anew, to
//     the state of the header; line and a pattern: the next line, whatever it is.
//   - above and two numbers, as "above $n $m": the first is the greater one.
//
// A command may end in a literal: a line "{{{" at its end, lines, and "}}}" on
// its own line, after which the command may go on; it is sent as a
// synchronising literal with CRLF line ends.
//
// The lines that follow a step are patterns: "* …" are the untagged lines that
// must come, all of them and in this order, before the step is over; nothing
// else may, unless a line "..." stands in for any number of others. "! text"
// says that no line may contain text, for what "..." would let through. In a
// pattern "$name" takes a value (up to a space or bracket; as much as it can if
// the name begins with "rest") and from then on stands for it, in commands too;
// "$*" takes anything. $user and $password have
// values from the start, and $plain, $plainself and $plainother: responses of the
// SASL mechanism PLAIN, for no identity, the user's own and another's. Literals in responses
// are shown as {{…}} with \r, \n and what is no text, as \x00, escaped.
package transcript
