package raftlog

import (
	"errors"
	"fmt"
	"slices"
)

// takeSpare returns the path of a free file, or "".
func (s *Store) takeSpare() string {
	s.w.Lock()
	defer s.w.Unlock()
	n := len(s.spares)
	if n == 0 {
		return ""
	}
	spare := s.spares[n-1]
	s.spares = s.spares[:n-1]
	return spare
}

// collect frees the oldest segments of which nothing is wanted any more, and
// moves the entries of the oldest if they hold much that is free behind them.
func (s *Store) collect() {
	if !s.collecting.TryLock() {
		return // somebody is at it
	}
	defer s.collecting.Unlock()
	for s.Err() == nil {
		oldest, move := s.candidate()
		if oldest == nil {
			return
		}
		err := error(nil)
		if move {
			err = s.move(oldest)
		} else {
			err = s.release(oldest)
		}
		if err != nil {
			if s.Err() == nil && !errors.Is(err, errBusy) {
				s.fatal(fmt.Errorf("free %s: %w", oldest.path, err))
			}
			return
		}
	}
}

// candidate returns the oldest segment if there is anything to be done with it:
// free it, or move what it holds.
func (s *Store) candidate() (oldest *segment, move bool) {
	s.w.Lock()
	defer s.w.Unlock()
	if len(s.w.segments) < 2 || s.w.active == nil {
		return nil, false
	}
	oldest = s.w.segments[0]
	if oldest.live.Load() == 0 {
		if oldest.readers.Load() > 0 {
			return nil, false // the next time
		}
		return oldest, false
	}
	total, live := s.w.offset, s.w.active.live.Load()
	for _, seg := range s.w.segments[:len(s.w.segments)-1] {
		total += seg.size
		live += seg.live.Load()
	}
	if total <= 2*live+2*s.opts.SegmentBytes {
		return nil, false
	}
	return oldest, true
}

// release gives the oldest segment's file away. What says that its entries are
// not wanted must be durable before.
func (s *Store) release(oldest *segment) error {
	if err := s.sync(); err != nil {
		return err
	}
	if err := oldest.closeReader(); err != nil {
		return err
	}
	s.w.Lock()
	s.w.segments = slices.Delete(s.w.segments, 0, 1)
	spare := ""
	if len(s.spares) < maxSpares {
		spare = s.fs.PathJoin(s.dir, fmt.Sprint(sparePrefix, oldest.number))
	}
	s.w.Unlock()
	if spare == "" {
		return s.fs.Remove(oldest.path)
	}
	// Its name is not a segment's any more before it is written over.
	if err := s.fs.Rename(oldest.path, spare); err != nil {
		return err
	}
	if err := s.syncDir(s.dir); err != nil {
		return err
	}
	s.w.Lock()
	// A crash may have left the file under both names, and so it is one already.
	if !slices.Contains(s.spares, spare) {
		s.spares = append(s.spares, spare)
	}
	s.w.Unlock()
	return nil
}

// errBusy says that a segment cannot be emptied now.
var errBusy = errors.New("entries are in use")

// moveBytes is how much is moved by one commit.
const moveBytes = 1 << 20

// move writes the entries in a segment again, at the stream's end.
func (s *Store) move(seg *segment) error {
	s.mu.Lock()
	groups := make([]*Group, 0, len(s.mu.groups))
	for _, g := range s.mu.groups {
		groups = append(groups, g)
	}
	s.mu.Unlock()
	for _, g := range groups {
		for more := true; more; {
			var err error
			if more, err = g.move(seg); err != nil {
				return fmt.Errorf("group %d: %w", g.id, err)
			}
		}
	}
	if seg.live.Load() != 0 {
		return errBusy // of a group that is being removed
	}
	return nil
}

// move moves a part of a group's entries; more says that there are others. Nothing
// is appended or truncated meanwhile.
func (g *Group) move(seg *segment) (more bool, err error) {
	g.append.Lock()
	defer g.append.Unlock()
	var indexes []uint64
	size := int64(0)
	g.mu.RLock()
	for i, at := range g.mu.at.at {
		if at.segment != seg {
			continue
		}
		if size += at.size(); size > moveBytes && len(indexes) > 0 {
			more = true
			break
		}
		indexes = append(indexes, g.mu.at.first+uint64(i))
	}
	g.mu.RUnlock()
	if len(indexes) == 0 {
		return false, nil
	}
	payloads := make([][]byte, len(indexes))
	for i, index := range indexes {
		if payloads[i], err = g.read(index); err != nil {
			return false, err
		}
	}
	moved := make([]location, len(indexes))
	err = g.store.commit(true, func(e *encoder) {
		state := e.s.w.state.bounds(g.id)
		for i, index := range indexes {
			// The head may have been truncated since.
			if payloads[i] != nil && index >= state.first && index <= state.last {
				moved[i] = e.record(header{kind: kindEntry, group: g.id, index: index}, payloads[i])
			}
		}
	})
	if err != nil {
		return false, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, index := range indexes {
		switch _, ok := g.mu.at.get(index); {
		case moved[i].segment == nil:
		case ok:
			g.mu.at.set(index, moved[i])
		default:
			moved[i].segment.live.Add(-moved[i].size())
		}
	}
	return more, nil
}
