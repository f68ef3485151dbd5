package session

import (
	"fmt"
	"testing"
)

// What a session has removed itself hides nothing that others have removed under the
// same name of another mailbox, nor what they have set again (RFC 5464, 4.4).
func TestOwnRemovalsHideNoOthers_RFC5464_4_4(t *testing.T) {
	names := map[uint64]string{0: "", 1: "a", 2: "b"}
	own := func(mailbox string) ownChange {
		return ownChange{modSeq: 7, mailbox: mailbox, removed: map[string]bool{"/private/comment": true, "/private/set": false}}
	}
	for _, c := range []struct {
		own  ownChange
		now  map[annotation]uint64
		want string
	}{
		{own("a"), nil, "map[0:[/private/comment] 1:[/private/set] 2:[/private/comment] 3:[/private/comment]]"},
		{own("b"), nil, "map[0:[/private/comment] 1:[/private/comment /private/set] 3:[/private/comment]]"},
		{own("a"), map[annotation]uint64{{1, "/private/comment"}: 8}, "map[0:[/private/comment] 1:[/private/comment /private/set] 2:[/private/comment] 3:[/private/comment]]"},
		{ownChange{}, nil, "map[0:[/private/comment] 1:[/private/comment /private/set] 2:[/private/comment] 3:[/private/comment]]"},
	} {
		changed := map[uint64][]string{
			0: {"/private/comment"}, 1: {"/private/comment", "/private/set"}, 2: {"/private/comment"}, 3: {"/private/comment"}, // 3 is deleted
		}
		c.own.leaveOut(changed, names, c.now)
		if got := fmt.Sprint(changed); got != c.want {
			t.Errorf("%+v: %s, want %s", c.own, got, c.want)
		}
	}
}
