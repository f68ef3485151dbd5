package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Violation is a broken promise, told for people.
type Violation string

func violation(format string, args ...any) Violation { return Violation(fmt.Sprintf(format, args...)) }

// Message is what a client knows of one message.
type Message struct {
	ModSeq uint64
	// Flags are sorted, and in lower case.
	Flags []string
	// MessageID is that of the header, empty if it was not asked for.
	MessageID string
}

// NormalFlags brings flags as the server lists them into the form of
// Message.Flags. \Recent is not kept: it is a session's, not the message's.
func NormalFlags(flags []string) []string {
	var out []string
	for _, f := range flags {
		if f = strings.ToLower(f); f != `\recent` {
			out = append(out, f)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Mailbox is what a client knows, or has kept, of a mailbox at one moment.
type Mailbox struct {
	UIDValidity   uint32
	UIDNext       uint32
	HighestModSeq uint64
	Messages      map[uint32]Message // by UID
}

// Clone returns a copy that shares nothing that changes.
func (m *Mailbox) Clone() *Mailbox {
	c := *m
	c.Messages = maps.Clone(m.Messages)
	return &c
}

// UIDs returns the UIDs in ascending order.
func (m *Mailbox) UIDs() []uint32 { return slices.Sorted(maps.Keys(m.Messages)) }

// Range is a run of UIDs, both ends included.
type Range struct{ First, Last uint32 }

// contains reports whether uid is in one of ranges.
func contains(ranges []Range, uid uint32) bool {
	return slices.ContainsFunc(ranges, func(r Range) bool { return r.First <= uid && uid <= r.Last })
}
