package wire

import "io"

// Limits bounds what a client may send.
type Limits struct {
	// Line bounds the octets of a command, literals that are not message data
	// included.
	Line int
	// Literal bounds a literal that is an argument (names, passwords, search
	// strings).
	Literal int64
	// Append bounds a message literal.
	Append int64
}

// Reader parses what a client sends.
type Reader struct{}

// NewReader returns a Reader of r. Before it reads a synchronising literal that
// is within the limits it calls cont, which sends "+ …" to the client.
func NewReader(r io.Reader, limits Limits, cont func() error) *Reader { return nil }

// SetUTF8 says how mailbox names are to be read from now on: UTF-8 (IMAP4rev2 or
// UTF8=ACCEPT enabled) or modified UTF-7 (IMAP4rev1).
func (r *Reader) SetUTF8(on bool) {}

// ReadCommand reads one command. On a syntax error it returns a *SyntaxError
// with the tag (or "*"), having read up to the end of the command, so that the
// next call starts at the next command. Other errors are the connection's and
// final.
func (r *Reader) ReadCommand() (tag string, cmd Command, err error) { return "", nil, io.EOF }

// LiteralBody returns the octets of the message literal that Append or
// AppendMessage has announced; asks the client for them first, if it waits.
// What is not read of it is discarded by the next call of AppendMessage.
func (r *Reader) LiteralBody() (io.Reader, error) { return nil, io.EOF }

// RefuseLiteral gives up the APPEND whose literal was announced: a client that
// waits is not asked for its octets; non-synchronising octets up to a bound are
// read and dropped, past it the error is final. The rest of the command is
// dropped.
func (r *Reader) RefuseLiteral() error { return nil }

// AppendMessage reads on in an APPEND after a message's octets: either the next
// message (MULTIAPPEND, RFC 3502), or the end of the command: more is false.
func (r *Reader) AppendMessage() (msg AppendMessage, more bool, err error) {
	return AppendMessage{}, false, io.EOF
}

// ReadLine reads one line without its CRLF, for IDLE's DONE and SASL responses.
func (r *Reader) ReadLine(max int) (string, error) { return "", io.EOF }

// SyntaxError says what is wrong with a command. The answer is BAD.
type SyntaxError struct {
	Tag  string
	Code string // response code without brackets, e.g. "TOOBIG"; often empty
	Text string
}

func (e *SyntaxError) Error() string { return e.Text }
