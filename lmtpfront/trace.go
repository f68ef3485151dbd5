package lmtpfront

import (
	"fmt"
	"net"
	"strings"
	"time"
)

// trace returns the fields that final delivery adds at the top (RFC 5321, 4.4):
// Return-Path, Delivered-To, by which a recipient can tell which of their addresses
// was meant, and Received.
func (s *session) trace(env envelope, to string, now time.Time) string {
	// RFC 6531, 4.3 and RFC 3848.
	protocol := "LMTP"
	if s.encrypted {
		protocol += "S"
	}
	if env.utf8 {
		protocol = "UTF8" + protocol
	}
	return fmt.Sprintf("Return-Path: <%s>\r\nDelivered-To: %s\r\nReceived: from %s (%s)\r\n\tby %s with %s\r\n\tfor <%s>; %s\r\n",
		path(env.from), path(to), domain(s.hello), s.peer(), clean(s.s.cfg.Hostname), protocol, path(to),
		now.Format("Mon, 2 Jan 2006 15:04:05 -0700"))
}

// peer is the client's address literal (RFC 5321, 4.1.3).
func (s *session) peer() string {
	if s.conn == nil {
		return "unknown"
	}
	tcp, ok := s.conn.RemoteAddr().(*net.TCPAddr)
	switch {
	case !ok:
		return "local"
	case tcp.IP.To4() != nil:
		return "[" + tcp.IP.String() + "]"
	}
	return "[IPv6:" + tcp.IP.String() + "]"
}

// path prints an address as go-smtp gives it, unquoted, as it is written.
func path(address string) string {
	address = clean(address)
	i := strings.LastIndexByte(address, '@')
	if i < 0 || !strings.ContainsAny(address[:i], " \t()<>[]:;@\\,\"") {
		return address
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(address[:i]) + `"` + address[i:]
}

// domain is what the client calls itself, kept from being more than a word.
func domain(hello string) string {
	hello = strings.Map(func(r rune) rune {
		if strings.ContainsRune(" ()<>\\\",;", r) {
			return -1
		}
		return r
	}, clean(hello))
	if len(hello) > 255 {
		hello = strings.ToValidUTF8(hello[:255], "")
	}
	return hello
}

// clean keeps what comes from a client from ending a header line.
func clean(v string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, v)
}
