package witness

import (
	"fmt"

	"github.com/quorumail/quorumail/bench/check"
	"github.com/quorumail/quorumail/bench/traffic"
)

// AddFlagger adds a worker that sets and removes a keyword of its own on messages
// by addr.
func (c *Crew) AddFlagger(addr string) { c.add("flag", addr, &flagger{set: make(map[uint32]bool)}) }

type flagger struct {
	set map[uint32]bool // what it has last asked for
}

func (f *flagger) begin(w *worker, c *traffic.Conn) error {
	return openQResync(w, c)
}

// openQResync selects the mailbox with QRESYNC enabled and notes what was told.
func openQResync(w *worker, c *traffic.Conn) error {
	if _, err := c.OK("ENABLE QRESYNC"); err != nil {
		return err
	}
	_, err := w.look(func() (check.Numbers, error) {
		r, err := Select(c, w.crew.cfg.Mailbox, "")
		if err != nil {
			return check.Numbers{}, err
		}
		return check.Numbers{Fresh: true, UIDValidity: r.UIDValidity, UIDNext: r.UIDNext, HighestModSeq: r.HighestModSeq}, nil
	})
	return err
}

// look notes the numbers that fn was told.
func (w *worker) look(fn func() (check.Numbers, error)) (check.Numbers, error) {
	var n check.Numbers
	span, err := w.span(func() (err error) {
		n, err = fn()
		return err
	})
	if err != nil {
		return n, err
	}
	n.Span, n.Conn = span, w.name
	w.crew.history.AddNumbers(n)
	return n, nil
}

func (f *flagger) step(w *worker, c *traffic.Conn) error {
	uid := w.crew.pool.choose(w.rng)
	if uid == 0 {
		_, err := c.OK("NOOP") // the appenders have yet to begin
		return err
	}
	flag := "$" + w.name
	set := !f.set[uid]
	f.set[uid] = set
	sign := "-"
	if set {
		sign = "+"
	}
	var lines []string
	span, err := w.span(func() (err error) {
		lines, err = c.OK("UID STORE %d %sFLAGS (%s)", uid, sign, flag)
		return err
	})
	st := check.Store{Span: span, UID: uid, Flag: flag, Set: set}
	for _, line := range lines {
		fe, ok, err := parseFetch(line)
		if err != nil {
			return err
		}
		if !ok || fe.uid != uid {
			continue
		}
		if fe.modSeq == 0 {
			return fmt.Errorf("STORE: FETCH without MODSEQ (RFC 7162, 3.1.4.2): %q", line)
		}
		st.ModSeq = max(st.ModSeq, fe.modSeq)
	}
	if err != nil || st.ModSeq != 0 {
		w.crew.history.AddStore(st)
	}
	// Otherwise the session passed over the UID (RFC 9051, 6.4.9): the message is
	// gone, or the session has not been told of it yet.
	return err
}
