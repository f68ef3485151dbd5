package service

import (
	"testing"

	"github.com/quorumail/quorumail/proto/framecodec"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// A listing as a node sends it is read without protobuf, in a few allocations: also
// the first response, which tells the index and the keywords.
func TestListingIsReadInFewAllocations(t *testing.T) {
	f := frames{index: 7}
	keywords := []string{"$a", "$b"}
	for i := range uint32(1000) {
		f.message(messageFrame{
			msg:   &pb.FetchedMessage{State: &pb.MessageState{Uid: i + 1, ModSeq: 9}, InternalDate: 5, Size: 100, EmailId: uint64(i), ThreadId: 3},
			email: make([]byte, 50), stored: true,
		}, keywords)
		keywords = nil
	}
	count := 0
	err := f.send(func(r *framecodec.Frame) error {
		var resp *pb.FetchResponse
		n := testing.AllocsPerRun(1, func() {
			received := &framecodec.Listing{}
			if err := (framecodec.Codec{}).Unmarshal(r.Data, received); err != nil {
				t.Fatal(err)
			}
			resp = &received.Response
		})
		if n > 10 {
			t.Errorf("%v allocations for %d messages", n, len(resp.GetMessages()))
		}
		if (len(resp.GetKeywords()) == 2) != (count == 0) || resp.GetAppliedIndex() != 7 {
			t.Errorf("after %d messages: %v, index %d", count, resp.GetKeywords(), resp.GetAppliedIndex())
		}
		for _, m := range resp.GetMessages() {
			if count++; m.GetState().GetUid() != uint32(count) || len(m.GetStoredEmail()) != 50 {
				t.Fatalf("message %d is %v", count, m)
			}
		}
		return nil
	})
	if err != nil || count != 1000 {
		t.Errorf("%d messages, %v", count, err)
	}
}
