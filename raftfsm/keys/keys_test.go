package keys

import (
	"bytes"
	"encoding/hex"
	"slices"
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
		"000000010161": Applied(1),
		"0000000103" + "2f58" + "03614062" + "0000000000000007": Summary(1, "a@b", 7),
		prefix + "61":                                                               s.Key(Account),
		prefix + "63":                                                               s.Key(Credentials),
		prefix + "6d0000000000000007":                                               s.ID(Mailbox, 7),
		prefix + "6e494e424f58":                                                     s.Bytes(Name, []byte("INBOX")),
		prefix + "67000000000000000700000009":                                       s.UID(Message, 7, 9),
		prefix + "72000000000000000700000009":                                       s.UID(Retained, 7, 9),
		prefix + "780000000000000007000000000000000500000009":                       s.Change(7, 5, 9),
		prefix + "7100000000000000070000000000000005":                               s.Expunge(7, 5),
		prefix + "730000000000000003000000000000000700000009":                       s.Retention(3, 7, 9),
		prefix + "62" + hex.EncodeToString(id) + "0000000000000100":                 s.Body(id, 256),
		prefix + "650000000000000007":                                               s.ID(Email, 7),
		prefix + "660000000000000007":                                               s.ID(EmailRefs, 7),
		prefix + "74" + hex.EncodeToString(id):                                      s.Bytes(Session, id),
		prefix + "75" + hex.EncodeToString(id):                                      s.Bytes(Upload, id),
		prefix + "64" + hex.EncodeToString(append(id, id...)):                       s.Bytes(Delivery, append(id, id...)),
		prefix + "69" + hex.EncodeToString(id) + "00000000000000070000000000000009": s.Thread(id, 7, 9),
		prefix + "6f000000000000000773" + "2f61":                                    s.Metadata(MetadataScope{Mailbox: 7, Shared: true}, "/a"),
		prefix + "6f000000000000000770" + "00" + "2f61":                             s.Metadata(MetadataScope{Mailbox: 7}, "/a"),
		prefix + "6f000000000000000770" + "0162" + "2f61":                           s.Metadata(MetadataScope{Mailbox: 7, Actor: "b"}, "/a"),
		prefix + "6c0000000000000007":                                               s.ID(ACL, 7),
		prefix + "6862":                                                             s.Bytes(SharedBy, []byte("b")),
		prefix + "70":                                                               s.Key(MetadataUse),
		prefix + "76c3a4":                                                           s.Bytes(Subscribed, []byte("ä")),
	} {
		if hex.EncodeToString(got) != want {
			t.Errorf("got  %x\nwant %s", got, want)
		}
	}
}

// A slot of a shard is one range, and an account one within it: that is what
// lets a slot be moved.
func TestSlotsAndAccountsAreContiguous(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type owned struct {
			key     []byte
			account string
		}
		var list []owned
		for range 12 {
			account := rapid.StringMatching(`[a-c]{1,2}`).Draw(t, "account")
			kind, rest := Kind(rapid.Byte().Draw(t, "kind")), rapid.SliceOfN(rapid.Byte(), 0, 12).Draw(t, "rest")
			list = append(list, owned{ForAccount(1, account).Key(kind, rest...), account})
		}
		slices.SortFunc(list, func(a, b owned) int { return bytes.Compare(a.key, b.key) })
		accounts, slots := map[string]bool{}, map[imapnum.Slot]bool{}
		for i, o := range list {
			slot := imapnum.SlotOf(o.account)
			if i > 0 && list[i-1].account == o.account {
				continue
			}
			if accounts[o.account] {
				t.Fatalf("keys of %q are not one range", o.account)
			}
			accounts[o.account] = true
			if slots[slot] && imapnum.SlotOf(list[i-1].account) != slot {
				t.Fatalf("keys of slot %d are not one range", slot)
			}
			slots[slot] = true
		}
	})
}

func TestShardRanges(t *testing.T) {
	for _, shard := range []uint32{0, 1, 255, 1<<32 - 2, 1<<32 - 1} {
		start, end := Shard(shard)
		applied := Applied(shard)
		if bytes.Compare(start, applied) > 0 || bytes.Compare(applied, end) >= 0 {
			t.Errorf("shard %d: %x is not in [%x, %x)", shard, applied, start, end)
		}
		if shard < 1<<32-1 {
			if next, _ := Shard(shard + 1); !bytes.Equal(next, end) {
				t.Errorf("shard %d ends at %x, the next starts at %x", shard, end, next)
			}
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
	s := ForAccount(3, "x@y")
	id := []byte("0123456789abcdef")
	for _, key := range [][]byte{
		s.UID(Message, 1, 2), s.Change(1, 2, 3), s.Expunge(1, 2), s.Retention(1, 2, 3), s.Body(id, 4), s.ID(Email, 5), s.Thread(id, 6, 7),
		s.Metadata(MetadataScope{Mailbox: 1, Actor: "a"}, "/b"), s.Metadata(MetadataScope{Shared: true}, "/b"),
	} {
		f.Add(key)
		f.Add(s.Rest(key))
	}
	f.Fuzz(func(t *testing.T, key []byte) {
		account, kind, rest, err := ParseAccount(key)
		if err == nil {
			s := Space{prefix: key[:len(key)-len(rest)-1]}
			if !bytes.Equal(s.Key(kind, rest...), key) || account == "" {
				t.Fatalf("%x", key)
			}
		}
		// Whatever a parser takes is what the builder makes of the parts.
		s := ForAccount(1, "a")
		same := func(k Kind, built []byte) {
			if !bytes.Equal(built, s.Key(k, key...)) {
				t.Fatalf("kind %c: %x is built as %x", k, key, built)
			}
		}
		if m, u, err := ParseUID(key); err == nil {
			same(Message, s.UID(Message, m, u))
		}
		if m, ms, u, err := ParseChange(key); err == nil {
			same(Change, s.Change(m, ms, u))
		}
		if m, ms, err := ParseExpunge(key); err == nil {
			same(Expunge, s.Expunge(m, ms))
		}
		if at, m, u, err := ParseRetention(key); err == nil {
			same(Retention, s.Retention(at, m, u))
		}
		if id, offset, err := ParseBody(key); err == nil {
			same(Body, s.Body(id, offset))
		}
		if hash, thread, email, err := ParseThread(key); err == nil {
			same(Thread, s.Thread(hash, thread, email))
		}
		if scope, name, err := ParseMetadata(key); err == nil {
			same(Metadata, s.Metadata(scope, name))
		}
		if id, err := ParseID(key); err == nil {
			same(Email, s.ID(Email, id))
		}
	})
}
