package raftlog

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func (s *Store) newSegment(number uint32) *segment {
	return &segment{number: number, path: s.fs.PathJoin(s.dir, segmentName(number))}
}

// replay reads all segments.
func (s *Store) replay() error {
	names, err := s.fs.List(s.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		path := s.fs.PathJoin(s.dir, name)
		n, ok := parseSegmentName(name)
		switch {
		case ok:
			s.w.segments = append(s.w.segments, s.newSegment(n))
		case strings.HasPrefix(name, sparePrefix):
			s.spares = append(s.spares, path)
		case name == "CURRENT" || strings.HasPrefix(name, "MANIFEST"):
			return fmt.Errorf("%s: the directory holds a log of an earlier layout, which is not read any more", path)
		}
	}
	slices.SortFunc(s.w.segments, func(a, b *segment) int { return int(int64(a.number) - int64(b.number)) })
	r := &replayer{s: s, at: make(map[uint32]*locations)}
	s.w.state = make(stream)
	if err := r.all(); err != nil {
		return err
	}
	return r.open()
}

// replayer is the reading of all segments.
type replayer struct {
	s  *Store
	at map[uint32]*locations
}

func (r *replayer) all() error {
	segments := r.s.w.segments
	var data []byte
	for i, seg := range segments {
		if i > 0 && seg.number != segments[i-1].number+1 {
			return fmt.Errorf("segment %d is missing: %w", segments[i-1].number+1, ErrCorrupt)
		}
		if data == nil {
			var err error
			if data, err = r.read(seg); err != nil {
				return err
			}
		}
		// The next segment's first record says how long this one is.
		limit := -1
		var next []byte
		if i+1 < len(segments) {
			var err error
			if next, err = r.read(segments[i+1]); err != nil {
				return err
			}
			h, _, ok := parseRecord(next, segments[i+1].number)
			switch {
			case ok && h.kind == kindCheckpoint:
				limit = int(h.index)
			case i+2 < len(segments) || laterDurable(next, segments[i+1].number, 0):
				return fmt.Errorf("%s: no checkpoint: %w", segments[i+1].path, ErrCorrupt)
			default:
				// It was begun and nothing in it was ever durable.
				if err := r.s.fs.Remove(segments[i+1].path); err != nil {
					return err
				}
				r.s.w.segments, segments = segments[:i+1], segments[:i+1]
			}
		}
		if i == 0 && len(segments) == 1 && seg.number == 1 {
			if h, _, ok := parseRecord(data, seg.number); (!ok || h.kind != kindCheckpoint) && !laterDurable(data, seg.number, 0) {
				// The very first, of which nothing was ever durable.
				r.s.w.segments = nil
				return r.s.fs.Remove(seg.path)
			}
		}
		if err := r.segment(i, seg, data, limit); err != nil {
			return err
		}
		data = next
		if len(segments) == i+1 {
			break
		}
	}
	return nil
}

func (r *replayer) read(seg *segment) ([]byte, error) {
	f, err := r.s.fs.Open(seg.path, vfs.SequentialReadsOption)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	data := make([]byte, info.Size())
	n, err := io.ReadFull(f, data)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	return data[:n], errors.Join(err, f.Close())
}

// segment takes the records of one segment: up to limit, or, if that is negative,
// up to where the writing was cut off.
func (r *replayer) segment(i int, seg *segment, data []byte, limit int) error {
	at := 0
	for limit < 0 || at < limit {
		h, payload, ok := parseRecord(data[at:], seg.number)
		if !ok {
			if limit >= 0 || laterDurable(data, seg.number, at) {
				return fmt.Errorf("%s: record at %d: %w", seg.path, at, ErrCorrupt)
			}
			break
		}
		if (at == 0) != (h.kind == kindCheckpoint) {
			return fmt.Errorf("%s: record at %d is of kind %d: %w", seg.path, at, h.kind, ErrCorrupt)
		}
		if err := r.record(i, seg, h, payload, at); err != nil {
			return fmt.Errorf("%s: record at %d: %w", seg.path, at, err)
		}
		at += recordLen(len(payload))
	}
	if limit >= 0 && at != limit {
		return fmt.Errorf("%s: ends at %d, want %d: %w", seg.path, at, limit, ErrCorrupt)
	}
	seg.size = int64(at)
	return nil
}

func (r *replayer) record(i int, seg *segment, h header, payload []byte, at int) error {
	state := r.s.w.state
	if h.kind == kindCheckpoint {
		groups, err := parseCheckpoint(payload)
		if err != nil {
			return err
		}
		if i == 0 {
			for id, g := range groups {
				state[id] = g
				if g.last > 0 {
					// Where the entries are is told by the records that follow.
					r.at[id] = &locations{first: g.first, at: make([]location, g.last-g.first+1)}
				}
			}
			return nil
		}
		return r.compare(groups)
	}
	if err := state.apply(h, payload); err != nil {
		return err
	}
	l := r.at[h.group]
	if l == nil {
		l = &locations{}
		r.at[h.group] = l
	}
	switch h.kind {
	case kindEntry:
		where := location{seg, uint32(at), uint32(len(payload))}
		seg.live.Add(where.size())
		l.set(h.index, where)
	case kindTail:
		l.trimTail(h.index)
	case kindHead:
		l.trimHead(h.index)
	case kindRestart, kindRemove:
		l.trimTail(0)
	}
	return nil
}

// compare holds a checkpoint against what the records before it said.
func (r *replayer) compare(groups map[uint32]*streamState) error {
	state := r.s.w.state
	for id, g := range groups {
		have, ok := state[id]
		if !ok || have.first != g.first || have.last != g.last || !equalValues(have.values, g.values) {
			return fmt.Errorf("group %d: checkpoint does not agree with the records before it: %w", id, ErrCorrupt)
		}
	}
	if len(groups) != len(state) {
		return fmt.Errorf("checkpoint has %d groups, want %d: %w", len(groups), len(state), ErrCorrupt)
	}
	return nil
}

// open makes the groups of what has been read.
func (r *replayer) open() error {
	for id, state := range r.s.w.state {
		g := newGroup(r.s, id)
		if l := r.at[id]; l != nil && state.last > 0 {
			g.mu.at = *l
		}
		for k, v := range state.values {
			g.stable.mu.values[k] = v
		}
		g.mu.first, g.mu.last = state.first, state.last
		for index := state.first; index <= state.last && index > 0; index++ {
			at, ok := g.mu.at.get(index)
			if !ok {
				return fmt.Errorf("group %d: entry %d is missing: %w", id, index, ErrCorrupt)
			}
			g.mu.sizes.add(index, int64(at.length))
		}
		r.s.mu.groups[id] = g
	}
	return nil
}
