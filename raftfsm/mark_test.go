package raftfsm

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// A mark captures the state as it is there, however the log is cut into batches:
// after what stands before it, and before what comes behind.
func TestMarkCapturesTheStateAtItsIndex(t *testing.T) {
	one := newMachine(t)
	var log []Command
	add := func(batch *pb.EntryBatch) {
		for _, e := range batch.GetEntries() {
			e.Version, e.Time = EntryVersion, int64(len(log)+1)*1e9
		}
		data, err := proto.Marshal(batch)
		if err != nil {
			t.Fatal(err)
		}
		log = append(log, Command{Index: uint64(len(log) + 1), Term: 1, Data: data})
	}
	account := newAccount()
	account.Account = alice
	add(&pb.EntryBatch{Entries: []*pb.Entry{account}})
	for n := range 4 {
		e := one.mail("INBOX")
		e.Account = alice
		add(&pb.EntryBatch{Entries: []*pb.Entry{e}, Mark: fmt.Appendf(nil, "with %d", n)})
		if n%2 == 0 {
			add(&pb.EntryBatch{Mark: fmt.Appendf(nil, "alone %d", n)})
		}
	}
	var want []string
	for step := len(log); step > 0; step-- { // at last one by one
		m := newMachine(t)
		var got []string
		m.f.cfg.OnMark = func(mark []byte, v *View) {
			d, err := v.Digests(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			index, _ := v.Applied()
			got = append(got, fmt.Sprintf("%s at %d: %d keys, %x", mark, index, d.Keys, d.Sum))
			if err := v.Close(); err != nil {
				t.Fatal(err)
			}
		}
		for at := 0; at < len(log); at += step {
			results, err := m.f.ApplyBatch(log[at:min(at+step, len(log))])
			if err != nil {
				t.Fatal(err)
			}
			for i, res := range results {
				for _, r := range res {
					if r.GetCode() != pb.Code_CODE_OK {
						t.Fatalf("%d: %v", at+i+1, r)
					}
				}
			}
		}
		m.check(alice)
		if want == nil {
			want = got
		}
		if len(got) != 6 || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%d at a time: %q, want %q", step, got, want)
		}
	}
}
