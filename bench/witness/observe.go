package witness

import (
	"github.com/quorumail/quorumail/bench/check"
	"github.com/quorumail/quorumail/bench/traffic"
)

// AddObserver adds a worker that asks for the mailbox's numbers by addr again and
// again, by STATUS and by SELECT.
func (c *Crew) AddObserver(addr string) {
	c.add("observe", addr, new(observer)).reads = true
}

type observer struct{ n int }

func (o *observer) begin(*worker, *traffic.Conn) error { return nil }

func (o *observer) step(w *worker, c *traffic.Conn) error {
	o.n++
	_, err := w.look(func() (n check.Numbers, err error) {
		if o.n%4 == 0 {
			var r *check.Resync
			if r, err = Select(c, w.crew.cfg.Mailbox, ""); err != nil {
				return n, err
			}
			return check.Numbers{Fresh: true, UIDValidity: r.UIDValidity, UIDNext: r.UIDNext, HighestModSeq: r.HighestModSeq}, nil
		}
		n, err = statusNumbers(c, w.crew.cfg.Mailbox)
		n.Fresh = true
		return n, err
	})
	if err == nil && o.n%4 == 0 {
		_, err = c.OK("UNSELECT") // STATUS is not meant for the selected mailbox
	}
	return err
}
