package session

import (
	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/proto/imapnum"
)

// namesNumbers reports whether a command has message sequence numbers among its
// arguments, or would be answered with them: what a client that has enabled
// UIDONLY must not send (RFC 9586, 3.2, 3.5 and 3.7). "$" is no number.
func namesNumbers(cmd wire.Command) bool {
	switch cmd := cmd.(type) {
	case wire.Fetch:
		return !cmd.UID
	case wire.Store:
		return !cmd.UID
	case wire.Copy:
		return !cmd.UID
	case wire.Replace:
		return !cmd.UID
	case wire.Search:
		return !cmd.UID || keyNamesNumbers(cmd.Key)
	case wire.ESearch:
		return keyNamesNumbers(cmd.Search.Key)
	case wire.Sort:
		return !cmd.UID || keyNamesNumbers(cmd.Key)
	case wire.Thread:
		return !cmd.UID || keyNamesNumbers(cmd.Key)
	case wire.Select:
		return cmd.QResync != nil && len(cmd.QResync.MatchSeqs) > 0
	}
	return false
}

// keyNamesNumbers does so for a search criterion.
func keyNamesNumbers(key wire.SearchKey) bool {
	switch key := key.(type) {
	case wire.SearchNums:
		return len(key.Set.Ranges) > 0
	case wire.SearchAnd:
		for _, sub := range key {
			if keyNamesNumbers(sub) {
				return true
			}
		}
	case wire.SearchOr:
		return keyNamesNumbers(key.A) || keyNamesNumbers(key.B)
	case wire.SearchNot:
		return keyNamesNumbers(key.Key)
	}
	return false
}

// uidRequired refuses such a command. A literal that it announces is dropped
// before the next one is read.
func (c *Conn) uidRequired() error {
	return c.syntaxError(&wire.SyntaxError{Tag: c.tag, Code: "UIDREQUIRED", Text: "message sequence numbers are not allowed once UIDONLY is enabled"})
}

// beginFetch begins the response that tells of a message, up to its first item:
// FETCH, or UIDFETCH once UIDONLY is enabled (RFC 9586, 3.3). The UID is an item
// of FETCH where the client must be able to tell which message is meant;
// UIDFETCH names it only if asked to.
func (c *Conn) beginFetch(uid imapnum.UID) *wire.Writer {
	if c.uidonly {
		return c.w.Raw("* ", uint32(uid), " UIDFETCH (")
	}
	return c.w.Raw("* ", c.box.view.SeqNum(uid), " FETCH (")
}

// beginFetchUID does so where the response must tell the UID.
func (c *Conn) beginFetchUID(uid imapnum.UID) *wire.Writer {
	w := c.beginFetch(uid)
	if !c.uidonly {
		w.Raw("UID ", uint32(uid), " ")
	}
	return w
}

// tellsVanished reports whether expunges are told as VANISHED: with QRESYNC (RFC
// 7162, 3.2.10) and with UIDONLY (RFC 9586, 3.4).
func (c *Conn) tellsVanished() bool { return c.qresync || c.uidonly }
