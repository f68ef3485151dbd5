package session

import (
	"context"

	"github.com/quorumail/quorumail/imapfront/wire"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

var threadAlgorithms = map[string]pb.ThreadRequest_Algorithm{
	"ORDEREDSUBJECT": pb.ThreadRequest_ALGORITHM_ORDEREDSUBJECT,
	"REFERENCES":     pb.ThreadRequest_ALGORITHM_REFERENCES,
}

// thread is THREAD and UID THREAD (RFC 5256, 3).
func (c *Conn) thread(ctx context.Context, cmd wire.Thread) error {
	algorithm, ok := threadAlgorithms[cmd.Algorithm]
	if !ok {
		return c.bad("", "unknown threading algorithm")
	}
	req, err := c.criteria(ctx, "THREAD", cmd.Charset, cmd.Key, nil)
	if req == nil {
		return err
	}
	res, err := during(ctx, &progress{c: c}, c.box.store.Thread, &pb.ThreadRequest{Search: req, Algorithm: algorithm})
	if err == nil {
		err = c.searchedAt(ctx, res.GetMailboxModSeq())
	}
	if err != nil {
		return c.boxFailed("THREAD", err)
	}
	nums := res.GetUids()
	if !cmd.UID {
		for i, uid := range nums {
			nums[i] = uint32(c.box.view.SeqNum(imapnum.UID(uid))) // 0 stays
		}
	}
	c.tellThreads(nums, res.GetChildren())
	c.tell(mayExpunge(cmd.UID && !keyNamesNumbers(cmd.Key)))
	return c.done("THREAD done")
}

// openThread is a message whose replies are being printed.
type openThread struct {
	left   uint32 // replies not yet printed whole
	nested bool   // there are several, each in parentheses
}

// tellThreads prints a THREAD response (RFC 5256, 4): messages follow their
// parents; where one has several replies, each of them begins a list. A thread
// may be as deep as there are messages, so it is printed without recursion.
func (c *Conn) tellThreads(nums, children []uint32) {
	c.w.Raw("* THREAD")
	var open []openThread
	for i, n := range nums {
		switch {
		case len(open) == 0 && i == 0:
			c.w.Raw(" (")
		case len(open) == 0 || open[len(open)-1].nested:
			c.w.Raw("(")
		default:
			c.w.Raw(" ")
		}
		if n != 0 {
			c.w.Raw(n)
		}
		if kids := children[i]; kids > 0 {
			open = append(open, openThread{left: kids, nested: kids > 1})
			if kids > 1 && n != 0 {
				c.w.Raw(" ")
			}
			continue
		}
		// The message is whole, and with it perhaps those above it.
		for whole := true; whole; {
			if len(open) == 0 {
				c.w.Raw(")")
				break
			}
			top := &open[len(open)-1]
			if top.nested {
				c.w.Raw(")")
			}
			if top.left--; top.left > 0 {
				whole = false
			} else {
				open = open[:len(open)-1]
			}
		}
	}
	c.w.CRLF()
}
