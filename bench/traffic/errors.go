package traffic

import (
	"errors"
	"fmt"
)

// ErrBye says that the server ended the connection with BYE; the error that
// wraps it has the server's text.
var ErrBye = errors.New("the server said BYE")

// ErrNotAnswered is returned by [Conn.Wait] for a command that is not of this
// connection.
var ErrNotAnswered = errors.New("the command is not of this connection")

// ErrStop ends [Conn.Idle] without an error when its callback returns it.
var ErrStop = errors.New("stop")

// ProtocolError says that the server broke a rule. The connection is closed.
type ProtocolError struct {
	// Rule says what was expected, with the section that demands it.
	Rule string
	// Line is the response, cut to a readable length.
	Line string
}

// Error implements error.
func (e *ProtocolError) Error() string {
	return fmt.Sprintf("imap: server broke a rule: %s: got %q", e.Rule, e.Line)
}

func violation(line []byte, format string, args ...any) error {
	const readable = 300
	if len(line) > readable {
		line = line[:readable]
	}
	return &ProtocolError{Rule: fmt.Sprintf(format, args...), Line: string(line)}
}

// StatusError is an answer NO or BAD where OK was wanted.
type StatusError struct {
	// Command is what was sent, without tag and literals.
	Command string
	// Status is the server's answer.
	Status Status
}

// Error implements error.
func (e *StatusError) Error() string {
	return fmt.Sprintf("imap: %s: %s", e.Command, e.Status)
}
