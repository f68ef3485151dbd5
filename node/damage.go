package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/quorumail/quorumail/node/raftlog"
	"github.com/quorumail/quorumail/node/shard"
)

const (
	// damagedFile says why a node's data is not to be used.
	damagedFile = "damaged.json"
	// asidePrefix begins the name of the directory that damaged data is moved to.
	asidePrefix = "damaged-"
)

// damage is what damagedFile says.
type damage struct {
	Why string `json:"why"`
	// Aside is the directory that the data is being moved to, once that has begun.
	Aside string `json:"aside,omitempty"`
}

// isDamage says whether an error means that data that had been written is not what it
// was: a checksum is wrong, or a part is gone. A disk that cannot be read or written
// is none, and neither is a state machine that has stopped: what made one stop would
// stop the others.
func isDamage(err error) bool {
	return errors.Is(err, errDamagedFile) || errors.Is(err, raftlog.ErrCorrupt) || errors.Is(err, shard.ErrHole) || pebble.IsCorruptionError(err)
}

// noteDamage makes durable that the node's data is damaged. The next start sets it
// aside.
func (n *Node) noteDamage(err error) {
	n.log.Error("data is damaged; the next start sets it aside, and this node is caught up by the others", "data", n.cfg.DataDir, "error", err)
	if err := writeJSON(n.cfg.FS, n.cfg.DataDir, damagedFile, damage{Why: err.Error()}); err != nil {
		n.log.Error("damage could not be noted", "error", err)
	}
}

// mendData sets data aside that is noted as damaged, and returns whether it did.
func (n *Node) mendData(ctx context.Context) (bool, error) {
	var d damage
	err := readJSON(n.cfg.FS, n.path(damagedFile), &d)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		d.Why = err.Error() // the note is damaged, too
	}
	if err := n.awaitOthers(ctx); err != nil {
		return false, fmt.Errorf("data is damaged (%s), and is left as it is: %w", d.Why, err)
	}
	aside, err := n.setAside(d)
	if err != nil {
		return false, fmt.Errorf("set damaged data aside: %w", err)
	}
	n.log.Warn("damaged data was set aside, and may be removed; this node is caught up by the others", "aside", aside, "cause", d.Why)
	return true, nil
}

// awaitOthers is othersCanDo once they can, or after as long as a few elections take: a
// node that has ended over its damage may have led them.
func (n *Node) awaitOthers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*cmp.Or(n.cfg.Timing.Election, shard.DefaultTiming().Election))
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		err := n.othersCanDo(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil {
			last = err // what is asked when time is over is not answered
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return last
		}
	}
}

// othersCanDo says why the cluster needs this node's data, damaged or not: unless a
// majority of its nodes has a cluster without it, somebody should look at what can be
// saved. That also keeps a fault that all nodes have in common from setting all aside.
func (n *Node) othersCanDo(ctx context.Context) error {
	ids := n.peerIDs()
	need, sound := len(ids)/2+1, 0
	told := n.peers.ask(ctx, ids)
	for _, st := range told {
		for _, r := range st.GetReplicas() {
			if r.GetShard() == 0 && r.GetLeader() != "" && r.GetError() == "" {
				sound++
			}
		}
	}
	if sound < need {
		return fmt.Errorf("%d other nodes of the %d of the cluster are up and have a leader, want %d", sound, len(ids), need)
	}
	return nil
}

// setAside moves all that the node had, and gives what comes a new identity. It may be
// cut short anywhere: the note says where to, and goes last.
func (n *Node) setAside(d damage) (aside string, err error) {
	f, dir := n.cfg.FS, n.cfg.DataDir
	if d.Aside == "" {
		d.Aside = fmt.Sprint(asidePrefix, time.Now().UTC().Format("20060102T150405.000"))
		if err := writeJSON(f, dir, damagedFile, d); err != nil {
			return "", err
		}
	}
	aside = f.PathJoin(dir, d.Aside)
	if err := f.MkdirAll(aside, 0o750); err != nil {
		return "", err
	}
	names, err := f.List(dir)
	if err != nil {
		return "", err
	}
	for _, old := range names {
		path := f.PathJoin(dir, old)
		switch {
		case old == damagedFile || old == identityFile || old == d.Aside:
		case strings.HasPrefix(old, asidePrefix):
			err = f.RemoveAll(path) // of the time before
		default:
			err = f.Rename(path, f.PathJoin(aside, old))
		}
		if err != nil {
			return "", err
		}
	}
	id := newIdentity(n.cfg.ID, n.cfg.Cluster)
	id.Rejoins = true
	// What was moved is durable where it is now before it is where it was.
	if err := syncDir(f, aside); err != nil {
		return "", err
	}
	if err := writeJSON(f, dir, identityFile, id); err != nil {
		return "", err
	}
	if err := f.Remove(f.PathJoin(dir, damagedFile)); err != nil {
		return "", err
	}
	return aside, syncDir(f, dir)
}
