package raftfsm

import (
	"encoding/binary"
	"errors"
	"slices"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/cockroachdb/pebble/v2"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/keys"
)

// A summary is the index of a mailbox as it was at some HIGHESTMODSEQ, stored, so
// that the first who selects a large mailbox after a restart, or on a leader that is
// new, need not wait until all its message records have been read: the change index
// and the expunge queue tell what has happened since.
//
// Each replica makes its own, out of what is stored already: it is no part of the
// replicated state, and with it or without, the index is the same. It lies in the
// same store behind the state that it was made of, so that after a crash there
// cannot be a summary of a state that is not there; and what the mailbox was at a
// modseq does not change any more, so that an old one is no worse than slow.
//
// Summaries are made of mailboxes of at least Config.SummaryMin messages, when some
// hundred changes are not in the last: as many as make its own writing cheap beside
// theirs.
const (
	defaultSummaryMin = 4096
	// Each change that a summary lacks is a record to be read, from anywhere in the
	// mailbox: minLag of them take some milliseconds. lagOctets is how much of a summary
	// may be written for each.
	minLag    = 256
	lagOctets = 512
	// maxSummary bounds one, in octets.
	maxSummary = 16 << 20
	// maxCounted bounds the mailboxes whose changes are counted; with more of them
	// counting begins anew.
	maxCounted = 100_000
)

// encodeSummary makes the stored form of an index: version, modseq, how many
// keywords there are, and each bitmap with its length before it; a keyword that no
// message has had has none, of length 0.
func encodeSummary(x *index, modSeq imapnum.ModSeq) ([]byte, error) {
	b := []byte{recordVersion}
	b = binary.AppendUvarint(b, uint64(modSeq))
	b = binary.AppendUvarint(b, uint64(len(x.words)))
	for _, bitmap := range append(append([]*roaring.Bitmap{x.uids}, x.flags[:]...), x.words...) {
		var packed []byte
		if bitmap != nil {
			own := bitmap.Clone() // the index is others' too
			own.RunOptimize()
			var err error
			if packed, err = own.ToBytes(); err != nil {
				return nil, err
			}
		}
		b = binary.AppendUvarint(b, uint64(len(packed)))
		b = append(b, packed...)
	}
	return b, nil
}

func decodeSummary(b []byte) (*index, imapnum.ModSeq, error) {
	d := decoder{b: b}
	d.version()
	modSeq := imapnum.ModSeq(d.uvarint())
	words := d.uvarint()
	if words > maxKeywords {
		return nil, 0, errCorrupt
	}
	x := newIndex()
	x.words, x.sharedWords = make([]*roaring.Bitmap, words), make([]bool, words)
	bitmap := func() *roaring.Bitmap {
		n := d.uvarint()
		if d.bad || n > uint64(len(d.b)) {
			d.bad, d.b = true, nil
			return nil
		}
		packed := d.b[:n]
		d.b = d.b[n:]
		if n == 0 {
			return nil
		}
		r := roaring.New()
		if r.UnmarshalBinary(packed) != nil {
			d.bad, d.b = true, nil
		}
		return r
	}
	x.uids = bitmap()
	for i := range x.flags {
		x.flags[i] = bitmap()
		d.bad = d.bad || x.flags[i] == nil
	}
	for i := range x.words {
		x.words[i] = bitmap()
	}
	if d.bad || x.uids == nil || len(d.b) > 0 {
		return nil, 0, errCorrupt
	}
	return x, modSeq, nil
}

// loadIndex makes the index of a mailbox as r has it: of its summary and what has
// changed since, or, where that is no help, of its records. lacks is how many changes
// the summary has not.
func loadIndex(r pebble.Reader, shard uint32, account string, space keys.Space, id imapnum.MailboxID, info *pb.MailboxInfo) (x *index, lacks uint64, err error) {
	x, lacks, err = fromSummary(r, keys.Summary(shard, account, id), space, id, info)
	if err != nil || x != nil {
		return x, lacks, err
	}
	x, err = buildIndex(r, space, id)
	return x, uint64(info.GetExists()), err
}

// fromSummary returns nil if the summary is no help.
func fromSummary(r pebble.Reader, key []byte, space keys.Space, id imapnum.MailboxID, info *pb.MailboxInfo) (*index, uint64, error) {
	value, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	x, modSeq, bad := decodeSummary(value)
	if err := closer.Close(); err != nil {
		return nil, 0, err
	}
	// A view may be older than the summary; and what has vanished since may not be
	// told any more.
	if bad != nil || uint64(modSeq) > info.GetHighestModSeq() || uint64(modSeq) < info.GetExpungeFloor() {
		return nil, 0, nil
	}
	gone, err := vanishedSince(r, space, id, modSeq)
	if err != nil {
		return nil, 0, err
	}
	changed, err := changedSince(r, space, id, modSeq, nil)
	if err != nil {
		return nil, 0, err
	}
	lacks := gone.Len() + changed.Len()
	if lacks > x.uids.GetCardinality()/2 {
		return nil, 0, nil
	}
	x.forget(gone)
	x.forget(changed)
	read := scanMessages
	if changed.Len() < uint64(8*len(changed.Ranges())) {
		// They are here and there, and what has changed of late is in the youngest level.
		read = getMessages
	}
	err = read(r, space, keys.Message, id, changed, func(msg message) (bool, error) {
		x.add(msg.uid, &msg.rec)
		return true, nil
	})
	return x, lacks, err
}

// forget takes UIDs out of all bitmaps, which are the index's own.
func (x *index) forget(uids imapnum.Set) {
	for _, rng := range uids.Ranges() {
		x.eachBitmap(func(b *roaring.Bitmap) { b.RemoveRange(uint64(rng.First), uint64(rng.Last)+1) })
	}
}

// summaries makes summaries, one after the other, in a goroutine that is there as
// long as there is something to do.
type summaries struct {
	f *FSM
	// counted are changes of mailboxes that are not in their summaries, as far as
	// this process has seen them. It is the apply goroutine's.
	counted map[cacheKey]uint64

	wg sync.WaitGroup
	mu struct {
		sync.Mutex
		queue   []cacheKey // each once
		running bool
		closed  bool
		sizes   map[cacheKey]int // octets of those made by this process
	}
}

func newSummaries(f *FSM) *summaries {
	s := &summaries{f: f, counted: make(map[cacheKey]uint64)}
	s.mu.sizes = make(map[cacheKey]int)
	return s
}

// due says whether a mailbox with so many messages should have a new summary.
func (s *summaries) due(key cacheKey, exists uint32, lacks uint64) bool {
	lag := min(s.f.cfg.SummaryMin, minLag)
	if int(exists) < s.f.cfg.SummaryMin || lacks < uint64(lag) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return lacks >= uint64(s.mu.sizes[key]/lagOctets)
}

// wrote notes the size of a summary.
func (s *summaries) wrote(key cacheKey, octets int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.mu.sizes) >= maxCounted {
		clear(s.mu.sizes)
	}
	s.mu.sizes[key] = octets
}

// count notes changes of a mailbox. It is called by the apply goroutine.
func (s *summaries) count(key cacheKey, exists uint32, changes int) {
	if int(exists) < s.f.cfg.SummaryMin {
		return
	}
	n := s.counted[key] + uint64(changes)
	if s.due(key, exists, n) {
		delete(s.counted, key)
		s.want(key)
		return
	}
	if len(s.counted) >= maxCounted {
		clear(s.counted)
	}
	s.counted[key] = n
}

// want has a summary of the mailbox made, some time.
func (s *summaries) want(key cacheKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed || slices.Contains(s.mu.queue, key) {
		return
	}
	s.mu.queue = append(s.mu.queue, key)
	if !s.mu.running {
		s.mu.running = true
		s.wg.Go(s.run)
	}
}

func (s *summaries) run() {
	for {
		s.mu.Lock()
		if len(s.mu.queue) == 0 {
			s.mu.running = false
			s.mu.Unlock()
			return
		}
		key := s.mu.queue[0]
		s.mu.queue = s.mu.queue[1:]
		s.mu.Unlock()
		switch err := s.make(key); {
		case err == nil, errors.Is(err, ErrReplaced), errors.Is(err, ErrNoAccount), errors.Is(err, ErrNoMailbox):
		default:
			s.f.cfg.Log.Warn("no summary of a mailbox", "account", key.account, "mailbox", key.mailbox, "error", err)
		}
	}
}

// close ends the making of summaries.
func (s *summaries) close() {
	s.mu.Lock()
	s.mu.closed, s.mu.queue = true, nil
	s.mu.Unlock()
	s.wg.Wait()
}

// make stores a summary of a mailbox as it is now.
func (s *summaries) make(key cacheKey) error {
	v, err := s.f.View()
	if err != nil {
		return err
	}
	defer func() { _ = v.Close() }() // nothing was written by it
	a, err := v.Account(key.account)
	if err != nil {
		return err
	}
	m, err := a.MailboxByID(key.mailbox)
	if err != nil {
		return err
	}
	return m.summarise(key)
}

func (m *Mailbox) summarise(key cacheKey) error {
	v, f, modSeq := m.a.v, m.a.v.f, imapnum.ModSeq(m.info.GetHighestModSeq())
	x := v.cache.get(key, modSeq)
	if x == nil {
		// It is not kept: nobody has asked for it, and Apply would have to keep it up.
		var err error
		if x, _, err = loadIndex(v.snap, f.cfg.Shard, key.account, m.a.space, m.id, m.info); err != nil {
			return err
		}
	}
	value, err := encodeSummary(x, modSeq)
	f.summaries.wrote(key, len(value))
	if err != nil || len(value) > maxSummary {
		return err
	}
	own := keys.Summary(f.cfg.Shard, key.account, m.id)
	if err := f.writeOwn(v.snap.era, own, value); err != nil {
		return err
	}
	// The mailbox may have been removed meanwhile, with the summary of before: either
	// this is seen here, or the removal takes this one too.
	record, err := get(f.db, m.a.space.ID(keys.Mailbox, uint64(m.id)))
	if err == nil && record == nil {
		err = f.writeOwn(v.snap.era, own, nil)
	}
	return err
}

// writeOwn writes, or with nil removes, one of the replica's own keys, unless an
// Import has begun since era: it counts on that nobody writes to the shard's range
// meanwhile, and takes away what is there.
func (f *FSM) writeOwn(era uint64, key, value []byte) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	switch {
	case f.era.Load() != era:
		return nil
	case value == nil:
		return f.db.Delete(key, pebble.NoSync)
	}
	return f.db.Set(key, value, pebble.NoSync)
}
