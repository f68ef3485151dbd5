package offline

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/quorumail/quorumail/bench/traffic"
)

// Cache is what a client keeps of one mailbox. It is not safe for concurrent use.
type Cache struct {
	UIDValidity   uint32
	HighestModSeq uint64
	// Next is the UID from which on the client has not asked for messages yet.
	Next uint32
	// Asking is set while the client asks about them. Until it has, it keeps
	// nothing of them, so that it need not name them either.
	Asking bool
	// Flags of each message known, as Normal puts them.
	Flags map[uint32]string
	// ModSeqs are the MODSEQs told of messages.
	ModSeqs map[uint32]uint64

	numbers []uint32 // UIDs by message sequence number; 0: not known

	// Since the last tagged response (RFC 7162, 6).
	highest  uint64 // of FETCH responses
	code     uint64 // of the last HIGHESTMODSEQ code
	hasCode  bool
	silenced map[uint32]bool // told of with MODSEQ and without FLAGS
}

// Normal is a list of flags in one spelling and order.
func Normal(flags string) string {
	list := strings.Fields(strings.ToLower(flags))
	list = slices.DeleteFunc(list, func(f string) bool { return f == `\recent` })
	slices.Sort(list)
	return strings.Join(slices.Compact(list), " ")
}

// Clone returns a copy that shares nothing with c.
func (c *Cache) Clone() *Cache {
	d := *c
	d.Flags = maps.Clone(c.Flags)
	d.ModSeqs = maps.Clone(c.ModSeqs)
	d.numbers = slices.Clone(c.numbers)
	d.silenced = maps.Clone(c.silenced)
	return &d
}

// UIDs returns the UIDs known, ascending.
func (c *Cache) UIDs() []uint32 { return slices.Sorted(maps.Keys(c.Flags)) }

// Opened notes that the mailbox is selected anew: message sequence numbers begin
// from nothing.
func (c *Cache) Opened() {
	c.numbers = nil
	if c.Flags == nil {
		c.Flags = make(map[uint32]string)
		c.ModSeqs = make(map[uint32]uint64)
		c.Next = 1
	}
}

// Take takes an untagged response, without "* " and CRLF.
func (c *Cache) Take(line string) error {
	word, rest, _ := strings.Cut(line, " ")
	switch {
	case word == "VANISHED":
		return c.vanish(rest)
	case word == "OK":
		return c.takeCode(line)
	}
	n, err := strconv.ParseUint(word, 10, 32)
	if err != nil {
		return nil // of no matter to a cache
	}
	name, rest, _ := strings.Cut(rest, " ")
	switch name {
	case "EXISTS":
		if int(n) < len(c.numbers) {
			return fmt.Errorf("EXISTS %d after %d messages", n, len(c.numbers))
		}
		c.numbers = append(c.numbers, make([]uint32, int(n)-len(c.numbers))...)
	case "EXPUNGE":
		return fmt.Errorf("EXPUNGE to a client that has enabled QRESYNC (RFC 7162, 3.2.10)")
	case "FETCH":
		return c.fetched(int(n), rest)
	}
	return nil
}

// takeCode takes the codes of a status response, tagged or not.
func (c *Cache) takeCode(line string) error {
	for name, at := range map[string]func(uint64){
		"HIGHESTMODSEQ": func(n uint64) { c.code, c.hasCode = n, true },
		"UIDVALIDITY":   func(n uint64) { c.UIDValidity = uint32(n) },
	} {
		_, rest, ok := strings.Cut(line, "["+name+" ")
		if !ok {
			continue
		}
		digits, _, _ := strings.Cut(rest, "]")
		n, err := strconv.ParseUint(digits, 10, 63)
		if err != nil {
			return fmt.Errorf("%s: %w", line, err)
		}
		at(n)
	}
	return nil
}

// vanish takes VANISHED and VANISHED (EARLIER).
func (c *Cache) vanish(rest string) error {
	text, earlier := strings.CutPrefix(rest, "(EARLIER) ")
	set, err := traffic.ParseSet(text)
	if err != nil {
		return err
	}
	for _, r := range set.Ranges() {
		for uid := range c.Flags {
			if uint32(r.First) <= uid && uid <= uint32(r.Last) {
				delete(c.Flags, uid)
				delete(c.ModSeqs, uid)
			}
		}
	}
	if earlier {
		return nil // numbers do not move (RFC 7162, 3.2.10.1)
	}
	for _, r := range set.Ranges() {
		for uid := uint32(r.First); uid <= uint32(r.Last); uid++ {
			i := slices.Index(c.numbers, uid)
			if i < 0 {
				i = slices.Index(c.numbers, 0) // one that was never asked about
			}
			if i < 0 {
				return fmt.Errorf("VANISHED names %d, which has no number (RFC 7162, 3.2.10.2)", uid)
			}
			c.numbers = slices.Delete(c.numbers, i, i+1)
		}
	}
	return nil
}

// fetched takes "(UID 3 FLAGS (\Seen) MODSEQ (9))".
func (c *Cache) fetched(n int, text string) error {
	uid, modSeq, flags, hasFlags, err := parseFetch(text)
	if err != nil {
		return err
	}
	if uid == 0 {
		return fmt.Errorf("FETCH without UID (RFC 7162, 3.2.4): %s", text)
	}
	if n < 1 || n > len(c.numbers) {
		return fmt.Errorf("FETCH of number %d of %d", n, len(c.numbers))
	}
	if uid >= c.Next && !c.Asking {
		c.highest = max(c.highest, modSeq)
		return nil
	}
	if was := c.numbers[n-1]; was != 0 && was != uid {
		return fmt.Errorf("FETCH: number %d is UID %d, and was %d", n, uid, was)
	}
	c.numbers[n-1] = uid
	c.highest = max(c.highest, modSeq)
	if modSeq > 0 {
		c.ModSeqs[uid] = modSeq
	}
	switch {
	case hasFlags:
		c.Flags[uid] = Normal(flags)
		delete(c.silenced, uid)
	case modSeq > 0:
		if c.silenced == nil {
			c.silenced = make(map[uint32]bool)
		}
		c.silenced[uid] = true
	}
	return nil
}

// Tagged takes a command's tagged response: where the client moves its
// HIGHESTMODSEQ.
func (c *Cache) Tagged(status string) error {
	if err := c.takeCode(status); err != nil {
		return err
	}
	switch {
	case c.hasCode:
		c.HighestModSeq = c.code
	case c.highest > c.HighestModSeq:
		c.HighestModSeq = c.highest
	}
	c.highest, c.hasCode, c.silenced = 0, false, nil
	return nil
}

// Silenced returns the messages that a STORE with .SILENT is said to have changed
// without telling their flags: the client knows what it asked for. It is to be
// called before Tagged.
func (c *Cache) Silenced() []uint32 { return slices.Sorted(maps.Keys(c.silenced)) }

// Number gives the messages known their message sequence numbers, as a client may
// once it has resynchronised with all that it knew: there are no others.
func (c *Cache) Number() error {
	uids := c.UIDs()
	if len(uids) != len(c.numbers) {
		return fmt.Errorf("%d messages exist, and %d are known", len(c.numbers), len(uids))
	}
	for i, uid := range uids {
		if was := c.numbers[i]; was != 0 && was != uid {
			return fmt.Errorf("number %d is UID %d, and ought to be %d", i+1, was, uid)
		}
	}
	c.numbers = uids
	return nil
}

// Missing reports whether there are messages that the client has not asked about.
func (c *Cache) Missing() bool { return slices.Contains(c.numbers, 0) }

// Numbers returns the UIDs in the order of their message sequence numbers, 0 where
// one is not known.
func (c *Cache) Numbers() []uint32 { return slices.Clone(c.numbers) }

// parseFetch reads the items that a cache asks for.
func parseFetch(text string) (uid uint32, modSeq uint64, flags string, hasFlags bool, err error) {
	rest := strings.TrimSuffix(strings.TrimPrefix(text, "("), ")")
	for rest != "" && err == nil {
		var name, value string
		name, rest, _ = strings.Cut(rest, " ")
		if strings.HasPrefix(rest, "(") {
			end := strings.IndexByte(rest, ')')
			if end < 0 {
				return 0, 0, "", false, fmt.Errorf("FETCH %s", text)
			}
			value, rest = rest[1:end], strings.TrimPrefix(rest[end+1:], " ")
		} else {
			value, rest, _ = strings.Cut(rest, " ")
		}
		switch name {
		case "UID":
			var n uint64
			n, err = strconv.ParseUint(value, 10, 32)
			uid = uint32(n)
		case "MODSEQ":
			modSeq, err = strconv.ParseUint(value, 10, 63)
		case "FLAGS":
			flags, hasFlags = value, true
		default:
			err = fmt.Errorf("FETCH %s: unexpected %q", text, name)
		}
	}
	return uid, modSeq, flags, hasFlags, err
}
