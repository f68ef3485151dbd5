package node

import (
	"context"
	"time"

	"github.com/quorumail/quorumail/node/shard"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm"
)

// What the leader of a shard does in one round of upkeep is bounded: it shares
// the log with users.
const (
	upkeepAccounts = 200  // looked at
	upkeepEntries  = 20   // proposed
	collectKeys    = 1000 // removed by one entry

	// Staged uploads and the memory of requests and deliveries are kept so long.
	uploadsKept    = 24 * time.Hour
	sessionsKept   = 24 * time.Hour
	deliveriesKept = 7 * 24 * time.Hour

	// An expunge queue of more records than queueMax is merged down to about half:
	// each expunge of one message is a record, and a client that has been away reads
	// them all.
	queueMax = 2000
	// Records are merged into ones of so many ranges of UIDs at most: what a merged
	// record names a client is told that needs any of it, and history is forgotten
	// by whole records.
	queueMerged = 4000
)

// upkeep removes what nothing refers to any more, and shortens expunge queues,
// going round the accounts of a shard. It runs on the leader, and its decisions
// travel as entries.
type upkeep struct {
	n     *Node
	fsm   *raftfsm.FSM
	queue int    // queueMax, but for tests
	group int    // queueMerged, likewise
	after string // the account that was looked at last; empty: none yet
}

func newUpkeep(n *Node, fsm *raftfsm.FSM) *upkeep {
	return &upkeep{n: n, fsm: fsm, queue: queueMax, group: queueMerged}
}

// run is one round; see shard.Config.LeaderWork.
func (u *upkeep) run(ctx context.Context, r *shard.Replica) {
	if u.n.disk.reason() != "" {
		return // even removing writes
	}
	entries, err := u.plan(time.Now())
	if err != nil {
		u.n.log.Warn("upkeep", "error", err)
		return
	}
	// An account with more garbage than an entry may remove has its turn again, as
	// long as the round lasts.
	for left := upkeepEntries; len(entries) > 0 && left > 0; {
		var again []*pb.Entry
		for _, e := range entries {
			more, ok := u.propose(ctx, r, e)
			if !ok {
				return // it will be found again
			}
			if left--; more {
				again = append(again, e)
			}
		}
		entries = again
	}
}

// propose has an entry done; more: there is more of the same to be done.
func (u *upkeep) propose(ctx context.Context, r *shard.Replica, e *pb.Entry) (more, ok bool) {
	res, _, err := r.Propose(ctx, e)
	if err != nil {
		u.n.log.Debug("upkeep not proposed", "account", e.GetAccount(), "error", err)
		return false, false
	}
	switch res.GetCode() {
	case pb.Code_CODE_OK, pb.Code_CODE_NO_ACCOUNT, pb.Code_CODE_NO_MAILBOX:
	default:
		u.n.log.Warn("upkeep refused", "account", e.GetAccount(), "code", res.GetCode(), "detail", res.GetDetail())
	}
	return res.GetMore() && e.GetCollect() != nil, true // of a queue, only so much is to be merged
}

// plan looks at the next accounts and returns what is to be proposed.
func (u *upkeep) plan(now time.Time) ([]*pb.Entry, error) {
	v, err := u.fsm.View()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	var names []string
	err = v.Accounts(u.after, func(name string) bool {
		names = append(names, name)
		return len(names) < upkeepAccounts
	})
	if err != nil {
		return nil, err
	}
	var entries []*pb.Entry
	for i, name := range names {
		if len(entries) >= upkeepEntries {
			names = names[:i]
			break
		}
		e, err := u.planAccount(v, name, now)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e...)
	}
	u.after = ""
	if len(names) > 0 {
		u.after = names[len(names)-1]
	}
	return entries, nil
}

func (u *upkeep) planAccount(v *raftfsm.View, name string, now time.Time) ([]*pb.Entry, error) {
	a, err := v.Account(name)
	if err != nil {
		return nil, err
	}
	var entries []*pb.Entry
	before := func(kept time.Duration) int64 { return now.Add(-kept).UnixNano() }
	collect := &pb.CollectOp{
		BodiesBefore:     before(u.n.cfg.Undelete),
		UploadsBefore:    before(uploadsKept),
		SessionsBefore:   before(sessionsKept),
		DeliveriesBefore: before(deliveriesKept),
		Limit:            collectKeys,
	}
	due, err := a.CollectDue(collect)
	if err != nil {
		return nil, err
	}
	if due {
		entries = append(entries, u.entry(name, now, &pb.Entry{Op: &pb.Entry_Collect{Collect: collect}}))
	}
	boxes, _, err := a.Mailboxes()
	if err != nil {
		return nil, err
	}
	for _, b := range boxes {
		if len(entries) >= upkeepEntries {
			break
		}
		m, err := a.MailboxByID(imapnum.MailboxID(b.GetId()))
		if err != nil {
			return nil, err
		}
		op, err := u.planQueue(m)
		if err != nil {
			return nil, err
		}
		if op != nil {
			entries = append(entries, u.entry(name, now, &pb.Entry{Op: &pb.Entry_CompactQueue{CompactQueue: op}}))
		}
	}
	return entries, nil
}

// planQueue returns how a mailbox's expunge queue is to be shortened; nil: it is
// not. A queue that names more ranges of UIDs than are kept loses its beginning, a
// quarter of what is kept at once, so that this comes seldom; one of too many records
// is merged.
func (u *upkeep) planQueue(m *raftfsm.Mailbox) (*pb.CompactQueueOp, error) {
	records, ranges := 0, 0
	err := m.ExpungeQueue(func(_ imapnum.ModSeq, n int) bool {
		records++
		ranges += n
		return true
	})
	op := &pb.CompactQueueOp{MailboxId: m.Info().GetId()}
	kept := u.n.cfg.ExpungeHistory
	switch {
	case err != nil:
		return nil, err
	case kept >= 0 && ranges > kept:
		err := m.ExpungeQueue(func(modSeq imapnum.ModSeq, n int) bool {
			if ranges <= kept-kept/4 {
				return false
			}
			ranges -= n
			op.NewFloor = uint64(modSeq)
			op.Limit++
			return true
		})
		return op, err
	case records > u.queue:
		// However long the history is, there are fewer large records than half of
		// those that are looked at: some are always merged.
		op.Limit, op.MaxRanges = uint32(u.queue/2), uint32(max(u.group, 8*ranges/u.queue))
		return op, nil
	}
	return nil, nil
}

// entry fills in what every command has. These need no request id: doing them
// twice does no more.
func (u *upkeep) entry(account string, now time.Time, e *pb.Entry) *pb.Entry {
	e.Version, e.Account, e.Time = raftfsm.EntryVersion, account, now.UnixNano()
	return e
}
