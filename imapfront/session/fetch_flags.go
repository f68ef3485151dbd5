package session

import (
	"context"
	"strconv"

	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// A FETCH of nothing but flags and UIDs of many messages is how every client
// without CONDSTORE begins. It is answered from sets of UIDs, a few octets a
// message, instead of a record each.
const (
	// flagsFrom is from how many messages on.
	flagsFrom = 16
	// flagsWindow is how many messages are asked about at once: so much is in
	// memory.
	flagsWindow = 200_000
)

// onlyFlags reports whether a FETCH can be answered from sets of flags.
func (p *fetchPlan) onlyFlags(set imapnum.Set) bool {
	if p.modSeq || p.cmd.ChangedSince != nil || !p.flags || set.Len() < flagsFrom {
		return false
	}
	for _, item := range p.cmd.Items {
		if item.Name != "FLAGS" && item.Name != "UID" {
			return false
		}
	}
	return true
}

// fetchFlags prints the flags of a set of messages. It returns those that are not
// there any more: their content may still be kept.
func (c *Conn) fetchFlags(ctx context.Context, cmd wire.Fetch, set imapnum.Set) (gone imapnum.Set, err error) {
	for !set.Empty() {
		window := imapnum.SetOfRanges(imapnum.Places(set.Ranges(), 1, flagsWindow, false))
		set = set.Subtract(window)
		res, err := c.box.store.GetFlags(ctx, c.box.id, packed(window))
		if err != nil {
			return imapnum.Set{}, err
		}
		if len(res.GetKeywords()) > len(c.box.keywords) {
			c.box.keywords = res.GetKeywords()
			c.tellFlagsList()
		}
		found := unpacked(res.GetUids())
		if err := c.printFlags(cmd, found, res); err != nil {
			return imapnum.Set{}, err
		}
		gone = gone.Union(window.Subtract(found))
	}
	return gone, nil
}

// cursor walks a set beside ascending UIDs.
type cursor struct{ ranges []imapnum.Range }

func (k *cursor) has(uid imapnum.UID) bool {
	for len(k.ranges) > 0 && k.ranges[0].Last < uid {
		k.ranges = k.ranges[1:]
	}
	return len(k.ranges) > 0 && k.ranges[0].First <= uid
}

// recentBit stands for \Recent beside the bits of imapnum.SystemFlags.
const recentBit = 1 << 5

// flagLists prints lists of flags, each combination of system flags once.
type flagLists struct {
	c       *Conn
	plain   [recentBit << 1][]byte // without keywords
	system  []cursor
	bits    []uint32
	words   []cursor
	numbers []uint32
}

func (c *Conn) flagLists(sets []*pb.FlaggedSet) *flagLists {
	l := &flagLists{c: c, system: []cursor{{c.box.recent.Ranges()}}, bits: []uint32{recentBit}}
	for _, f := range sets {
		at := cursor{unpacked(f.GetUids()).Ranges()}
		switch f.GetFlag().(type) {
		case *pb.FlaggedSet_SystemFlag:
			l.system, l.bits = append(l.system, at), append(l.bits, f.GetSystemFlag())
		case *pb.FlaggedSet_Keyword:
			l.words, l.numbers = append(l.words, at), append(l.numbers, f.GetKeyword())
		}
	}
	return l
}

// of returns the list of a message's flags. UIDs must ascend from call to call.
func (l *flagLists) of(uid imapnum.UID) (list []byte, words []uint32, system uint32) {
	for i := range l.system {
		if l.system[i].has(uid) {
			system |= l.bits[i]
		}
	}
	for i := range l.words {
		if l.words[i].has(uid) {
			words = append(words, l.numbers[i])
		}
	}
	if len(words) > 0 || int(system) >= len(l.plain) {
		return nil, words, system
	}
	if l.plain[system] == nil {
		l.plain[system] = l.c.appendFlags(nil, uid, system, nil)
	}
	return l.plain[system], nil, system
}

// appendFlags appends a list of flags in parentheses.
func (c *Conn) appendFlags(b []byte, uid imapnum.UID, system uint32, words []uint32) []byte {
	b = append(b, '(')
	for i, name := range c.flagNames(&pb.MessageState{Uid: uint32(uid), SystemFlags: system, Keywords: words}) {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(b, name...)
	}
	return append(b, ')')
}

// printFlags prints a FETCH response for each message of found.
func (c *Conn) printFlags(cmd wire.Fetch, found imapnum.Set, res *pb.GetFlagsResponse) error {
	v := c.box.view
	lists := c.flagLists(res.GetFlagged())
	line := make([]byte, 0, 256)
	named := cmd.UID && !c.uidonly // the UID is told unasked
	for _, r := range found.Intersect(v.UIDs()).Ranges() {
		seq := uint32(v.SeqNum(r.First)) // the view holds the whole range
		for uid := r.First; ; uid++ {
			list, words, system := lists.of(uid)
			if s := v.Drop(uid); s != nil && s.GetModSeq() > res.GetHighestModSeq() {
				// What is pending is newer.
				list, words, system = nil, s.GetKeywords(), s.GetSystemFlags()
			}
			line = append(line[:0], "* "...)
			if c.uidonly {
				line = strconv.AppendUint(line, uint64(uid), 10)
				line = append(line, " UIDFETCH ("...)
			} else {
				line = strconv.AppendUint(line, uint64(seq), 10)
				line = append(line, " FETCH ("...)
			}
			sep := false
			if named {
				line = append(line, "UID "...)
				line = strconv.AppendUint(line, uint64(uid), 10)
				sep = true
			}
			for _, item := range cmd.Items {
				if item.Name == "UID" && named {
					continue
				}
				if sep {
					line = append(line, ' ')
				}
				sep = true
				if item.Name == "UID" {
					line = append(line, "UID "...)
					line = strconv.AppendUint(line, uint64(uid), 10)
					continue
				}
				line = append(line, "FLAGS "...)
				if list != nil {
					line = append(line, list...)
				} else {
					line = c.appendFlags(line, uid, system, words)
				}
			}
			line = append(line, ")\r\n"...)
			c.w.Bytes(line)
			seq++
			if uid == r.Last {
				break
			}
		}
		if err := c.w.Err(); err != nil {
			return err
		}
	}
	return nil
}
