package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/quorumail/quorumail/raftfsm"
)

const (
	// scrubPiece is how many octets are read at a time. Between pieces no view is held.
	scrubPiece = 1 << 20
	// scrubShare is the part of the time that reading takes, one of so many, when nobody
	// suspects anything; and scrubRest the least time between two pieces.
	scrubShare = 10
	scrubRest  = 20 * time.Millisecond
	// scrubFirst bounds the time until the first reading after a start: a node that is
	// started once a week is not never read.
	scrubFirst = time.Hour
)

// ReadAll reads all that the node's replicas hold, and fails the node if something is
// damaged. It takes as long as the disk needs, next to what the node has to do.
func (n *Node) ReadAll(ctx context.Context) error {
	_, err := n.readAll(ctx, atOnce)
	return err
}

// errHurry ends a slow reading, since a quick one is wanted.
var errHurry = errors.New("a read has failed meanwhile")

// atOnce is for readAll: no rest between pieces.
func atOnce(time.Duration) error { return nil }

// readAll reads all, and calls rest after each piece with the time that it took; an
// error of rest ends it.
func (n *Node) readAll(ctx context.Context, rest func(time.Duration) error) (octets int64, err error) {
	for _, sh := range n.shards() {
		for from, more := []byte(nil), true; more; more = from != nil {
			if err := ctx.Err(); err != nil {
				return octets, err
			}
			began := time.Now()
			next, read, err := sh.State.ReadOn(from, scrubPiece)
			octets += read
			if errors.Is(err, raftfsm.ErrReplaced) {
				break // by a snapshot that was received just now
			}
			if err != nil {
				err = fmt.Errorf("node %s: shard %d: %w", n.cfg.ID, sh.ID, err)
				if isDamage(err) {
					n.fail(err)
				}
				return octets, err
			}
			from = next
			if err := rest(time.Since(began)); err != nil {
				return octets, err
			}
		}
	}
	return octets, nil
}

// suspects tells scrub that an answer said that the state could not be read. Pebble
// tells of damage in a file of keys by itself, but not of that in a file of bodies.
func (n *Node) suspects(err error) {
	if status.Code(err) != codes.Internal {
		return
	}
	n.suspect()
}

// suspect has scrub read all. It does not wait.
func (n *Node) suspect() {
	select {
	case n.suspicion <- struct{}{}:
	default: // it is about to
	}
}

// scrub reads all when a read for somebody has failed, and slowly now and then, until
// ctx ends: mail that nobody reads for years may lose its bits on one disk after the
// other, and would be gone once it has on all.
func (n *Node) scrub(ctx context.Context) {
	var turn <-chan time.Time // nil: never
	if n.cfg.Scrub > 0 {
		turn = time.After(min(n.cfg.Scrub, scrubFirst))
	}
	for {
		rest := atOnce
		select {
		case <-n.suspicion:
		case <-turn:
			turn = time.After(n.cfg.Scrub)
			rest = func(took time.Duration) error { return n.rest(ctx, max(scrubRest, (scrubShare-1)*took)) }
		case <-ctx.Done():
			return
		}
		began := time.Now()
		octets, err := n.readAll(ctx, rest)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errHurry):
		case err != nil:
			n.log.Error("not all can be read", "error", err)
		default:
			n.log.Info("all data was read and is sound", "mib", octets>>20, "took", time.Since(began).Round(time.Millisecond))
		}
	}
}

// rest waits, until ctx ends or somebody could not read something.
func (n *Node) rest(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-n.suspicion:
		n.suspect() // scrub is to see it
		return errHurry
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (n *Node) watchUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	resp, err := handle(ctx, req)
	n.suspects(err)
	return resp, err
}

func (n *Node) watchStream(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	err := handle(srv, stream)
	n.suspects(err)
	return err
}
