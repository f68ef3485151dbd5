package search_test

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/quorumail/quorumail/node/search"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// A key comes from a frontend: whatever it is, it has an answer or is refused,
// and NOT of it has the rest.
func FuzzRun(f *testing.F) {
	for _, key := range []*pb.SearchKey{
		and(flag(`\Seen`), not(header("From", "joe"))), or(body("noon"), text("привет")), uids(1, 3), modSeq(20),
		{Key: &pb.SearchKey_SentDate{SentDate: days(day(2026, 1, 1), nil)}},
	} {
		b, err := proto.Marshal(key)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		key := &pb.SearchKey{}
		if proto.Unmarshal(b, key) != nil {
			return
		}
		mb := some(t)
		res, err := mb.search(key)
		if err != nil {
			if !errors.Is(err, search.ErrKey) {
				t.Fatal(err)
			}
			return
		}
		rest, err := mb.search(not(key))
		if err != nil {
			return // one level too deep
		}
		if all := res.UIDs.Union(rest.UIDs); all.String() != "1:4" || res.UIDs.Len()+rest.UIDs.Len() != 4 {
			t.Fatalf("%v and %v", res.UIDs, rest.UIDs)
		}
	})
}
