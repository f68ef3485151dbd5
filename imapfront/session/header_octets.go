package session

import (
	"errors"
	"io"
)

var errHeaderOctets = errors.New("a message with octets beyond ASCII in its header needs ENABLE UTF8=ACCEPT")

// asciiHeader reads a message whose header must be ASCII: the client has not said
// that it knows others (RFC 6855, 4). The header is what is before the first empty
// line; those of MIME parts are body.
type asciiHeader struct {
	r     io.Reader
	ended bool
	line  bool // something is in the line under way
}

func (h *asciiHeader) Read(p []byte) (int, error) {
	n, err := h.r.Read(p)
	for _, b := range p[:n] {
		if h.ended {
			break
		}
		switch {
		case b >= 0x80:
			return 0, errHeaderOctets
		case b == '\n':
			h.ended = !h.line
			h.line = false
		case b != '\r':
			h.line = true
		}
	}
	return n, err
}
