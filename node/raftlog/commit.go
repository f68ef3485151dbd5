package raftlog

import (
	"errors"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// writer is the stream's end: what is still to be written.
type writer struct {
	sync.Mutex
	state    stream
	segments []*segment // oldest first
	// active is the last of them, that records are added to; nil before the first
	// record since the store was opened. offset is where the next one goes.
	active *segment
	offset int64
	// durable is up to where a segment is known to be on disk.
	durable struct {
		segment *segment
		offset  int64
	}

	pending []chunk
	waiting int     // octets in pending
	early   int     // see defaultEarly
	flight  *flight // that takes pending
	writing bool    // a flight is being written
	syncing int     // flights that are written and not yet known to be durable
	free    [][]byte

	// written and synced count flights: synced is the last that is durable.
	written, synced uint64
	// end is behind the last flight that was written.
	end struct {
		segment *segment
		offset  int64
	}
}

// chunk is a piece of a segment that is to be written behind what is there.
type chunk struct {
	segment *segment
	b       []byte
}

// flight is a write and an fsync that many commits share.
type flight struct {
	done    chan struct{}
	lead    chan struct{} // tells one of those that wait to do it
	waiting int           // guarded by writer
	err     error         // good after done
}

func newFlight() *flight { return &flight{done: make(chan struct{}), lead: make(chan struct{}, 1)} }

// defaultEarly is how much must be pending for a flight to be written while the one
// before it is synced: large writes take as long as their fsync, and small ones are
// better shared.
const defaultEarly = 256 << 10

// mayWrite reports whether a flight can begin. The writer is locked.
func (w *writer) mayWrite() bool {
	return !w.writing && (w.syncing == 0 || w.waiting >= w.early)
}

// pass has one of those that wait for the next flight begin it, if it can begin.
func (w *writer) pass() {
	if w.flight.waiting > 0 && w.mayWrite() {
		w.writing = true
		w.flight.lead <- struct{}{}
	}
}

// encoder adds records to the stream's end. The writer is locked.
type encoder struct{ s *Store }

// commit adds records and, if wait is set, returns once they are durable. Else
// they are written with the next commit that waits.
func (s *Store) commit(wait bool, add func(*encoder)) error {
	if err := s.Err(); err != nil {
		return err
	}
	s.w.Lock()
	add(&encoder{s})
	f := s.w.flight
	switch {
	case !wait || len(s.w.pending) == 0 && !s.w.writing && s.w.syncing == 0:
		s.w.Unlock()
		return nil
	case s.w.mayWrite():
		s.w.writing = true
		s.w.Unlock()
		s.flush()
		return f.err
	}
	f.waiting++
	s.w.Unlock()
	select {
	case <-f.done:
	case <-f.lead:
		s.flush()
	}
	return f.err
}

// sync waits until all that has been added is durable.
func (s *Store) sync() error { return s.commit(true, func(*encoder) {}) }

// maxFree is how large a buffer may be that is kept for the next flights.
const maxFree = 16 << 20

// flush does the next flight: it writes, and syncs once the flights before it are
// synced. writing is set, and handed on to one of those that wait for the flight after
// it, as soon as that may begin.
func (s *Store) flush() {
	s.w.Lock()
	chunks, f := s.w.pending, s.w.flight
	s.w.pending, s.w.waiting, s.w.flight = nil, 0, newFlight()
	s.w.Unlock()

	err := s.Err()
	if err == nil {
		if err = s.out.write(s, chunks); err != nil {
			s.fatal(err)
			err = s.Err()
		}
	}

	s.w.Lock()
	if len(chunks) > 0 {
		s.w.written++
		s.w.end.segment, s.w.end.offset = s.out.segment, s.out.offset
	}
	number := s.w.written
	for _, c := range chunks {
		if len(s.w.free) < 2 && cap(c.b) <= maxFree {
			s.w.free = append(s.w.free, c.b[:0])
		}
	}
	s.w.writing = false
	s.w.syncing++
	s.w.pass()
	s.w.Unlock()

	if err == nil && s.out.sync(s, number) != nil {
		err = s.Err()
	}
	s.w.Lock()
	s.w.syncing--
	s.w.pass()
	s.w.Unlock()
	f.err = err
	close(f.done)
}

// output is the file that is written to. It belongs to whoever has set writing; to
// put another in its place, or to sync it, takes syncs.
type output struct {
	syncs   sync.Mutex
	file    vfs.File
	segment *segment
	offset  int64
}

// write writes chunks behind what is there.
func (o *output) write(s *Store, chunks []chunk) error {
	for _, c := range chunks {
		if o.segment != c.segment {
			if err := o.next(s, c.segment); err != nil {
				return err
			}
		}
		if _, err := o.file.Write(c.b); err != nil {
			return err
		}
		o.offset += int64(len(c.b))
	}
	return nil
}

// sync makes a flight durable that has been written, with all others that have. A
// failure is the store's before anybody else can sync: what comes of that then says
// nothing.
func (o *output) sync(s *Store, flight uint64) (err error) {
	o.syncs.Lock()
	defer o.syncs.Unlock()
	defer s.failIf(&err)
	s.w.Lock()
	written, end := s.w.written, s.w.end
	durable := s.w.synced >= flight
	s.w.Unlock()
	if err := s.Err(); err != nil || durable {
		return err
	}
	if err := o.file.SyncData(); err != nil {
		return err
	}
	s.w.Lock()
	s.w.synced, s.w.durable = written, end
	s.w.Unlock()
	return nil
}

// next finishes the segment and begins another, in a file that is free if there
// is one. Its name is durable before anything in it can be acknowledged. A failure is
// the store's at once, as that of sync.
func (o *output) next(s *Store, seg *segment) (err error) {
	o.syncs.Lock()
	defer o.syncs.Unlock()
	defer s.failIf(&err)
	if o.file != nil {
		done := o.file
		o.file = nil // it is not closed again, whatever comes of it
		if err := errors.Join(done.SyncData(), done.Close()); err != nil {
			return err
		}
	}
	if spare := s.takeSpare(); spare != "" {
		o.file, err = s.fs.ReuseForWrite(spare, seg.path, diskCategory)
	} else {
		o.file, err = s.fs.Create(seg.path, diskCategory)
		if err == nil {
			// A sync need not find room then. The file keeps its length, if the file
			// system can do that at all.
			err = o.file.Preallocate(0, s.opts.SegmentBytes)
		}
	}
	if err != nil {
		return err
	}
	o.segment, o.offset = seg, 0
	return s.syncDir(s.dir)
}

func (o *output) close() error {
	o.syncs.Lock()
	defer o.syncs.Unlock()
	if o.file == nil {
		return nil
	}
	err := o.file.Close()
	o.file = nil
	return err
}

const diskCategory vfs.DiskWriteCategory = "raftlog"

// record adds a record. What it says is noted in the stream's state.
func (e *encoder) record(h header, payload []byte) location {
	return e.add(h, len(payload), func(b []byte) { copy(b, payload) })
}

// add adds a record whose payload of n octets fill puts in place.
func (e *encoder) add(h header, n int, fill func([]byte)) location {
	w := &e.s.w
	size := int64(recordLen(n))
	if w.active == nil || w.offset+size > e.s.opts.SegmentBytes && w.offset > 0 {
		e.begin()
	}
	at := location{w.active, uint32(w.offset), uint32(n)}
	payload := e.put(h, n, fill)
	if h.kind == kindEntry {
		w.active.live.Add(at.size())
	}
	if err := w.state.apply(h, payload); err != nil {
		// Group has looked before; it is a bug to come here.
		e.s.log.Error("raft log: record out of place", "error", err)
	}
	return at
}

// begin begins a segment with a checkpoint of what is before it.
func (e *encoder) begin() {
	w := &e.s.w
	number, before := uint32(1), int64(0)
	if n := len(w.segments); n > 0 {
		last := w.segments[n-1]
		if w.active != nil {
			last.size = w.offset
		}
		number, before = last.number+1, last.size
	}
	w.active = e.s.newSegment(number)
	w.segments = append(w.segments, w.active)
	w.offset = 0
	w.pending = append(w.pending, chunk{segment: w.active, b: w.buffer()})
	payload := checkpoint(w.state)
	e.put(header{kind: kindCheckpoint, index: uint64(before)}, len(payload), func(b []byte) { copy(b, payload) })
}

// put encodes a record at the end of pending and returns its payload.
func (e *encoder) put(h header, n int, fill func([]byte)) []byte {
	w := &e.s.w
	if len(w.pending) == 0 {
		w.pending = append(w.pending, chunk{segment: w.active, b: w.buffer()})
	}
	c := &w.pending[len(w.pending)-1]
	size := recordLen(n)
	at := len(c.b)
	c.b = grow(c.b, size)
	b := c.b[at : at+size]
	fill(b[headerLen : headerLen+n])
	h.length, h.segment = uint32(n), w.active.number
	if w.durable.segment == w.active {
		h.durable = uint32(w.durable.offset)
	}
	putHeader(b, h)
	w.offset += int64(size)
	w.waiting += size
	return b[headerLen : headerLen+n]
}

// buffer returns a buffer that a flight has done with, or nil.
func (w *writer) buffer() []byte {
	if n := len(w.free); n > 0 {
		b := w.free[n-1]
		w.free = w.free[:n-1]
		return b
	}
	return nil
}

// grow makes b longer by n octets of any content.
func grow(b []byte, n int) []byte {
	if len(b)+n <= cap(b) {
		return b[:len(b)+n]
	}
	bigger := make([]byte, len(b)+n, max(2*cap(b), len(b)+n, 64<<10))
	copy(bigger, b)
	return bigger
}
