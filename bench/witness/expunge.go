package witness

import (
	"slices"

	"github.com/quorumail/quorumail/bench/check"
	"github.com/quorumail/quorumail/bench/traffic"
)

// AddExpunger adds a worker that expunges messages by addr while there are more
// than Config.Keep.
func (c *Crew) AddExpunger(addr string) { c.add("expunge", addr, new(expunger)) }

type expunger struct{}

func (e *expunger) begin(w *worker, c *traffic.Conn) error {
	return openQResync(w, c)
}

func (e *expunger) step(w *worker, c *traffic.Conn) error {
	uids := w.crew.pool.take(w.rng, 1+w.rng.IntN(8), w.crew.cfg.Keep)
	if len(uids) == 0 {
		_, err := c.OK("NOOP")
		return err
	}
	slices.Sort(uids)
	lines, err := c.OK(`UID STORE %s +FLAGS (\Deleted)`, uidSet(uids))
	if err != nil {
		return err
	}
	deleted, err := e.told(w, uids, lines)
	if err != nil || len(deleted) == 0 {
		return err
	}
	var reply traffic.Reply
	span, err := w.span(func() (err error) {
		reply, err = c.Cmd("UID EXPUNGE %s", uidSet(deleted))
		if err == nil && !reply.Status.OK() {
			err = &traffic.StatusError{Command: "UID EXPUNGE", Status: reply.Status}
		}
		return err
	})
	w.crew.history.AddExpunge(check.Expunge{Span: span, UIDs: deleted})
	// RFC 7162, 3.2.7: the answer tells HIGHESTMODSEQ if anything was expunged.
	if n, ok := codeNumber(reply.Status.String(), "HIGHESTMODSEQ"); ok && err == nil {
		w.crew.history.AddNumbers(check.Numbers{Span: span, Conn: w.name, HighestModSeq: n})
	}
	return err
}

// told returns those of uids that the answer of STORE was about. A session that
// has not been told of a message yet passes over its UID (RFC 9051, 6.4.9):
// others may take it later.
func (e *expunger) told(w *worker, uids []uint32, lines []string) (deleted []uint32, err error) {
	for _, line := range lines {
		f, ok, err := parseFetch(line)
		if err != nil {
			return nil, err
		}
		if ok && slices.Contains(uids, f.uid) && slices.Contains(f.flags, `\deleted`) {
			deleted = append(deleted, f.uid)
		}
	}
	slices.Sort(deleted)
	deleted = slices.Compact(deleted)
	for _, uid := range uids {
		if !slices.Contains(deleted, uid) {
			w.crew.pool.add(uid)
		}
	}
	return deleted, nil
}
