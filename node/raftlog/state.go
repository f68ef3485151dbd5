package raftlog

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
)

// streamState is a group as the records up to some place in the stream tell it.
type streamState struct {
	first, last uint64 // bounds of the log, 0 when it is empty
	values      map[string][]byte
}

// checkpoint encodes the state of all groups.
func checkpoint(groups map[uint32]*streamState) []byte {
	var b []byte
	b = binary.AppendUvarint(b, uint64(len(groups)))
	for _, id := range slices.Sorted(maps.Keys(groups)) {
		g := groups[id]
		b = binary.AppendUvarint(b, uint64(id))
		b = binary.AppendUvarint(b, g.first)
		b = binary.AppendUvarint(b, g.last)
		b = appendValues(b, g.values)
	}
	return b
}

// parseCheckpoint decodes it.
func parseCheckpoint(b []byte) (map[uint32]*streamState, error) {
	d := decoder{b: b}
	groups := make(map[uint32]*streamState)
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		id := d.uvarint()
		g := &streamState{first: d.uvarint(), last: d.uvarint(), values: make(map[string][]byte)}
		d.values(g.values)
		if id > 1<<32-1 || g.first > g.last {
			d.bad = true
		}
		groups[uint32(id)] = g
	}
	return groups, d.end()
}

// appendValues encodes stable values; nil says that one is deleted.
func appendValues(b []byte, values map[string][]byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(values)))
	for _, k := range slices.Sorted(maps.Keys(values)) {
		v := values[k]
		b = binary.AppendUvarint(b, uint64(len(k)))
		b = append(b, k...)
		if v == nil {
			b = binary.AppendUvarint(b, 0)
			continue
		}
		b = binary.AppendUvarint(b, uint64(len(v))+1)
		b = append(b, v...)
	}
	return b
}

// applyValues changes values by what a record of kindStable says.
func applyValues(values map[string][]byte, record []byte) error {
	d := decoder{b: record}
	d.values(values)
	return d.end()
}

// decoder reads numbers and strings; what cannot be read makes it bad.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) values(into map[string][]byte) {
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		k := string(d.take(d.uvarint()))
		if size := d.uvarint(); size > 0 {
			into[k] = append([]byte{}, d.take(size-1)...)
		} else {
			delete(into, k)
		}
	}
}

func (d *decoder) end() error {
	if d.bad || len(d.b) > 0 {
		return ErrCorrupt
	}
	return nil
}

// stream is the state of all groups at the stream's end: of what has been given
// to the next write, durable or not.
type stream map[uint32]*streamState

func (s stream) group(id uint32) *streamState {
	g, ok := s[id]
	if !ok {
		g = &streamState{values: make(map[string][]byte)}
		s[id] = g
	}
	return g
}

// bounds returns a group's state to look at.
func (s stream) bounds(id uint32) streamState {
	if g, ok := s[id]; ok {
		return *g
	}
	return streamState{}
}

// apply notes a record. An entry that its log has is one that is written again.
func (s stream) apply(h header, payload []byte) error {
	if h.kind == kindRemove {
		delete(s, h.group)
		return nil
	}
	g := s.group(h.group)
	switch h.kind {
	case kindEntry:
		switch {
		case h.index == 0:
			return fmt.Errorf("group %d: entry 0: %w", h.group, ErrCorrupt)
		case g.last == 0:
			g.first, g.last = h.index, h.index
		case h.index == g.last+1:
			g.last++
		case h.index >= g.first && h.index <= g.last:
			return nil
		default:
			return fmt.Errorf("group %d: entry %d, log has %d to %d: %w", h.group, h.index, g.first, g.last, ErrCorrupt)
		}
	case kindTail:
		if g.last = min(g.last, h.index-1); g.last < g.first {
			g.first, g.last = 0, 0
		}
	case kindHead:
		if g.first = max(g.first, h.index); g.first > g.last {
			g.first, g.last = 0, 0
		}
	case kindRestart:
		g.first, g.last = 0, 0
	case kindStable:
		return applyValues(g.values, payload)
	}
	return nil
}

// equalValues compares stable values.
func equalValues(a, b map[string][]byte) bool {
	return maps.EqualFunc(a, b, func(x, y []byte) bool { return bytes.Equal(x, y) })
}
