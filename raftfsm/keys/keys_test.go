package keys

import (
	"bytes"
	"encoding/hex"
	"testing"

	"pgregory.net/rapid"

	"github.com/quorumail/quorumail/proto/imapnum"
)

// The layout is on disk: this test fails when it changes.
func TestLayoutIsFixed(t *testing.T) {
	s := ForAccount(1, "a@b")
	id := []byte("0123456789abcdef")
	const prefix = "0000000102" + "2f58" + "03614062"
	for want, got := range map[string][]byte{
		"000000010161":                                              Applied(1),
		prefix + "61":                                               s.Key(Account),
		prefix + "63":                                               s.Key(Credentials),
		prefix + "6d0000000000000007":                               s.ID(Mailbox, 7),
		prefix + "6e494e424f58":                                     s.Bytes(Name, []byte("INBOX")),
		prefix + "67000000000000000700000009":                       s.UID(Message, 7, 9),
		prefix + "72000000000000000700000009":                       s.UID(Retained, 7, 9),
		prefix + "780000000000000007000000000000000500000009":       s.Change(7, 5, 9),
		prefix + "7100000000000000070000000000000005":               s.Expunge(7, 5),
		prefix + "730000000000000003000000000000000700000009":       s.Retention(3, 7, 9),
		prefix + "62" + hex.EncodeToString(id) + "0000000000000100": s.Body(id, 256),
	} {
		if hex.EncodeToString(got) != want {
			t.Errorf("got  %x\nwant %s", got, want)
		}
	}
}

func TestKeysAscendAsTheirNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := ForAccount(rapid.Uint32().Draw(t, "shard"), rapid.StringMatching(`[a-z]{1,20}`).Draw(t, "account"))
		num := func() (uint64, uint64, uint32) {
			return rapid.Uint64().Draw(t, "a"), rapid.Uint64().Draw(t, "b"), rapid.Uint32().Draw(t, "c")
		}
		a1, b1, c1 := num()
		a2, b2, c2 := num()
		less := a1 < a2 || a1 == a2 && (b1 < b2 || b1 == b2 && c1 < c2)
		k1 := s.Change(imapnum.MailboxID(a1), imapnum.ModSeq(b1), imapnum.UID(c1))
		k2 := s.Change(imapnum.MailboxID(a2), imapnum.ModSeq(b2), imapnum.UID(c2))
		if (bytes.Compare(k1, k2) < 0) != less {
			t.Fatalf("%x and %x", k1, k2)
		}
		m, ms, u, err := ParseChange(s.Rest(k1))
		if err != nil || uint64(m) != a1 || uint64(ms) != b1 || uint32(u) != c1 {
			t.Fatalf("%x is %d %d %d, %v", k1, m, ms, u, err)
		}
		start, end := s.Range()
		if bytes.Compare(k1, start) < 0 || bytes.Compare(k1, end) >= 0 {
			t.Fatalf("%x is not in its account's range", k1)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(ForAccount(3, "x@y").UID(Message, 1, 2))
	f.Fuzz(func(t *testing.T, key []byte) {
		account, kind, rest, err := ParseAccount(key)
		if err == nil {
			s := Space{prefix: key[:len(key)-len(rest)-1]}
			if !bytes.Equal(s.Key(kind, rest...), key) || account == "" {
				t.Fatalf("%x", key)
			}
		}
		_, _, _ = ParseUID(key)
		_, _, _, _ = ParseChange(key)
		_, _, _ = ParseExpunge(key)
		_, _, _, _ = ParseRetention(key)
		_, _, _ = ParseBody(key)
		_, _ = ParseID(key)
	})
}
