package session

import (
	"strings"
	"testing"

	"github.com/quorumail/quorumail/imapfront/wire"
)

// named is a store of which only the account's name is of interest.
type named struct {
	Store
	account string
}

func (n named) Account() string { return n.account }

func TestObjectIDsMatchExactly_RFC8474_6(t *testing.T) {
	c := &Conn{store: named{account: "alice"}}
	for s, want := range map[string]uint64{
		"T1": 1, "T18446744073709551615": 1<<64 - 1,
		"T0": 0, "T01": 0, "T": 0, "": 0, "t1": 0, "E1": 0, "1": 0, "T1 ": 0, "T+1": 0, "T-1": 0, "T18446744073709551616": 0, "TT1": 0,
	} {
		if got, ok := c.parseObjectID(c.store, threadPrefix, s); ok != (want != 0) || ok && got != want {
			t.Errorf("%q is %d, %v", s, got, ok)
		}
	}
}

// Accounts count for themselves: what one login sees of several must not have the
// same identifiers.
func TestObjectIDsOfOtherAccounts_RFC8474_8_2(t *testing.T) {
	c := &Conn{store: named{account: "alice"}}
	seen := make(map[string]bool)
	for _, account := range []string{"alice", "bob", "bob2"} {
		in := named{account: account}
		for _, prefix := range []string{mailboxPrefix, emailPrefix, threadPrefix} {
			id := c.objectID(in, prefix, 5)
			if seen[id] || id[:1] != prefix || strings.Trim(id[1:], "0123456789abcdef-") != "" {
				t.Errorf("%s of %s: %s", prefix, account, id)
			}
			seen[id] = true
			if got, ok := c.parseObjectID(in, prefix, id); !ok || got != 5 {
				t.Errorf("%s is %d, %v", id, got, ok)
			}
			if _, ok := c.parseObjectID(named{account: "carol"}, prefix, id); ok {
				t.Errorf("%s is taken for another account's", id)
			}
		}
	}
}

// A message that was stored before there were threads has none: NIL.
func TestThreadIDOfOldMessages_RFC8474_5_2(t *testing.T) {
	var out strings.Builder
	alice := named{account: "alice"}
	c := &Conn{w: wire.NewWriter(&out), store: alice, box: &mailbox{store: alice}}
	f := &fetcher{c: c, first: true}
	f.threadID(0)
	f.threadID(7)
	if err := c.w.Flush(); err != nil || out.String() != "THREADID NIL THREADID (T7)" {
		t.Errorf("%q, %v", out.String(), err)
	}
}
