package client_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/quorumail/quorumail/node/client"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// fetchBreaking serves messages of chunks(uid) chunks each, and breaks the stream
// after the given number of responses, each time a later one.
func fetchBreaking(chunks func(imapnum.UID) int, breakAfter []int) func(context.Context, *pb.FetchRequest, func(*pb.FetchResponse) error) error {
	var mu sync.Mutex
	return func(_ context.Context, req *pb.FetchRequest, send func(*pb.FetchResponse) error) error {
		mu.Lock()
		limit := 1 << 30
		if len(breakAfter) > 0 {
			limit, breakAfter = breakAfter[0], breakAfter[1:]
		}
		mu.Unlock()
		uids, err := imapnum.Unpack(req.GetUids().GetPacked())
		if err != nil {
			return err
		}
		sent := 0
		out := func(r *pb.FetchResponse) error {
			if sent == limit {
				return status.Error(codes.Unavailable, "broken")
			}
			if sent == 0 {
				r.AppliedIndex, r.Keywords = 9, []string{"$k"}
			}
			sent++
			return send(r)
		}
		for uid := range uids.All() {
			n := chunks(uid)
			if err := out(&pb.FetchResponse{Message: &pb.FetchedMessage{
				State: &pb.MessageState{Uid: uint32(uid)}, Chunks: uint32(n),
			}}); err != nil {
				return err
			}
			for i := range n {
				if err := out(&pb.FetchResponse{Chunk: &pb.BodyChunk{
					Offset: uint64(i), Data: fmt.Appendf(nil, "%d/%d", uid, i),
				}}); err != nil {
					return err
				}
			}
		}
		if limit < 1<<30 {
			return status.Error(codes.Unavailable, "broken")
		}
		return nil
	}
}

// Wherever streams break, the caller sees each response once and in order.
func TestFetchResumes(t *testing.T) {
	chunks := func(uid imapnum.UID) int { return int(uid) % 4 }
	var want []string
	for uid := imapnum.UID(1); uid <= 9; uid++ {
		want = append(want, fmt.Sprint(uid))
		for i := range chunks(uid) {
			want = append(want, fmt.Sprintf("%d/%d", uid, i))
		}
	}
	for name, breaks := range map[string][]int{
		"whole":             nil,
		"before anything":   {0, 0},
		"inside bodies":     {4, 2, 1, 3, 3},
		"between messages":  {1, 3, 100},
		"each few":          {2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2},
		"at the very end":   {len(want)},
		"inside the resume": {4, 1, 1, 2, 2, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodes, c := fakeCluster(t, 2, 1)
			serve := fetchBreaking(chunks, breaks)
			for _, n := range nodes {
				n.do(func() { n.mu.fetch = serve })
			}
			var got []string
			err := c.Session("alice").Fetch(t.Context(), &pb.FetchRequest{
				MailboxId: 1, Body: pb.FetchRequest_BODY_ALL,
				Uids: &pb.UidSet{Packed: imapnum.SetOfRange(1, 9).Pack()},
			}, func(r *pb.FetchResponse) error {
				if len(got) == 0 && len(r.GetKeywords()) == 0 {
					t.Error("first response has no keywords")
				}
				if m := r.GetMessage(); m != nil {
					got = append(got, fmt.Sprint(m.GetState().GetUid()))
				} else {
					got = append(got, string(r.GetChunk().GetData()))
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got  %v\nwant %v", got, want)
			}
		})
	}
}

func TestFetchEndsWithTheCallersError(t *testing.T) {
	nodes, c := fakeCluster(t, 1, 1)
	nodes[0].do(func() { nodes[0].mu.fetch = fetchBreaking(func(imapnum.UID) int { return 0 }, nil) })
	stop := errors.New("enough")
	calls := 0
	err := c.Session("alice").Fetch(t.Context(), &pb.FetchRequest{
		Uids: &pb.UidSet{Packed: imapnum.SetOfRange(1, 1000).Pack()},
	}, func(*pb.FetchResponse) error {
		calls++
		return stop
	})
	if err != stop || calls != 1 {
		t.Errorf("got %v after %d calls", err, calls)
	}
	err = c.Session("alice").Fetch(t.Context(), &pb.FetchRequest{Uids: &pb.UidSet{Packed: []uint32{0, 1}}}, nil)
	if !errors.Is(err, client.ErrInvalid) {
		t.Errorf("set that is none: %v", err)
	}
}

// The slow one here is the caller, not the replica: nothing may be given up.
func TestFetchWaitsForASlowCaller(t *testing.T) {
	nodes, c := fakeCluster(t, 1, 1)
	calls := 0
	serve := fetchBreaking(func(imapnum.UID) int { return 0 }, nil)
	nodes[0].do(func() {
		nodes[0].mu.fetch = func(ctx context.Context, req *pb.FetchRequest, send func(*pb.FetchResponse) error) error {
			calls++
			return serve(ctx, req, send)
		}
	})
	err := c.Session("alice").Fetch(t.Context(), &pb.FetchRequest{
		Uids: &pb.UidSet{Packed: imapnum.SetOfRange(1, 2).Pack()},
	}, func(*pb.FetchResponse) error {
		<-time.After(400 * time.Millisecond)
		return nil
	})
	if err != nil || calls != 1 {
		t.Errorf("got %v after %d attempts, want 1", err, calls)
	}
}

// An answer that breaks off is not mixed with the next: that one may be of
// another index.
func TestOpenMailboxIsOfOneIndex(t *testing.T) {
	nodes, c := fakeCluster(t, 1, 1)
	index := uint64(0)
	nodes[0].do(func() {
		nodes[0].mu.open = func(req *pb.OpenMailboxRequest, send func(*pb.OpenMailboxResponse) error) error {
			index++
			_ = send(&pb.OpenMailboxResponse{Opened: &pb.OpenedMailbox{AppliedIndex: index}})
			for i := range 2 {
				if index < 3 && i == 1 {
					return status.Error(codes.Unavailable, "broken")
				}
				_ = send(&pb.OpenMailboxResponse{Changes: &pb.ChangeBatch{Changed: []*pb.MessageState{{ModSeq: index}}}})
			}
			return nil
		}
		nodes[0].mu.changes = func(_ *pb.ChangesRequest, send func(*pb.ChangesResponse) error) error {
			index++
			_ = send(&pb.ChangesResponse{Info: &pb.MailboxInfo{Id: index}, Changes: &pb.ChangeBatch{}})
			if index < 5 {
				return status.Error(codes.Unavailable, "broken")
			}
			return send(&pb.ChangesResponse{Changes: &pb.ChangeBatch{}})
		}
	})
	var batches []uint64
	s := c.Session("alice")
	opened, err := s.OpenMailbox(t.Context(), "INBOX", 0, &pb.Since{}, func(b *pb.ChangeBatch) error {
		batches = append(batches, b.GetChanged()[0].GetModSeq())
		return nil
	})
	if err != nil || opened.GetAppliedIndex() != 3 || fmt.Sprint(batches) != "[3 3]" {
		t.Errorf("got %v, batches of %v, %v", opened, batches, err)
	}
	info, changes, err := s.Changes(t.Context(), 1, &pb.Since{}, false)
	if err != nil || info.GetId() != 5 || len(changes) != 2 {
		t.Errorf("got %v, %d batches, %v", info, len(changes), err)
	}
}

// A search that takes long is waited for as long as its node lives.
func TestLengthySearch(t *testing.T) {
	nodes, c := fakeCluster(t, 1, 1)
	calls := 0
	nodes[0].do(func() {
		nodes[0].mu.search = func(ctx context.Context, _ *pb.SearchRequest) (*pb.SearchResponse, error) {
			calls++
			select {
			case <-time.After(time.Second):
				return &pb.SearchResponse{}, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	})
	if _, err := c.Session("alice").Search(t.Context(), &pb.SearchRequest{}); err != nil || calls != 1 {
		t.Errorf("%v after %d attempts, want 1", err, calls)
	}
}
