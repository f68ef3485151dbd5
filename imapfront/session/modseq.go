package session

import (
	"strings"
)

// modSeqs is what a client can make of the MODSEQs that it is told in FETCH
// responses: after each tagged response it takes the highest of them for its
// HIGHESTMODSEQ, unless it is told a HIGHESTMODSEQ, which it must take even if
// it is lower (RFC 7162, 6).
type modSeqs struct {
	told   uint64 // the highest in a FETCH response since the last tagged response
	capped bool   // the client was told to stay below what it has seen
}

// enableCondstore notes that the client has issued a CONDSTORE enabling command.
// At the first one it is told the HIGHESTMODSEQ of the mailbox that is selected
// (RFC 7162, 3.1).
func (c *Conn) enableCondstore() {
	if c.condstore {
		return
	}
	c.condstore = true
	if c.box != nil {
		c.w.Untagged("OK [HIGHESTMODSEQ ", uint64(c.box.view.Told()), "] mod-sequences are told from now on")
	}
}

// modSeq prints a FETCH response's MODSEQ.
func (c *Conn) modSeq(n uint64) {
	c.w.Raw("MODSEQ (", n, ")")
	c.box.modSeqs.told = max(c.box.modSeqs.told, n)
}

// settleModSeqs tells the HIGHESTMODSEQ before a tagged response where the client
// would take too high a one: it has been told MODSEQs, and expunges or flags
// below them are held back (RFC 7162, 3.2). Were its connection lost now, it
// would never hear of those. Once nothing is held back any more, it is told that
// too.
func (c *Conn) settleModSeqs(code string) {
	if c.box == nil || !c.condstore {
		return
	}
	m, v := &c.box.modSeqs, c.box.view
	told := m.told
	m.told = 0
	upTo := uint64(v.Told())
	switch {
	case strings.HasPrefix(code, "HIGHESTMODSEQ "):
		m.capped = false
	case told > upTo:
		m.capped = true
		c.w.Untagged("OK [HIGHESTMODSEQ ", upTo, "] more is to be told")
	case m.capped && v.Told() == v.Taken():
		m.capped = false
		c.w.Untagged("OK [HIGHESTMODSEQ ", upTo, "] all is told")
	}
}
