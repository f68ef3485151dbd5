package search

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// letters makes messages of lines "id subject date references…"; UIDs count from 1.
func letters(lines ...string) []threaded {
	var list []threaded
	for i, line := range lines {
		words := strings.Fields(line)
		subject := strings.ReplaceAll(words[1], "_", " ")
		base, reply := baseSubject(subject)
		m := threaded{uid: imapnum.UID(i + 1), base: string(collate(base, true)), reply: reply, id: strings.TrimSuffix(words[0], "-")}
		if _, err := fmt.Sscan(words[2], &m.date); err != nil {
			panic(err)
		}
		m.refs = words[3:]
		list = append(list, m)
	}
	return list
}

// spell writes threads as the protocol does, with "-" for messages not there.
func spell(nodes []ThreadNode) string {
	var next func() string
	next = func() string {
		n := nodes[0]
		nodes = nodes[1:]
		s := "-"
		if n.UID != 0 {
			s = fmt.Sprint(n.UID)
		}
		for range n.Children {
			s += "(" + next() + ")"
		}
		return s
	}
	var all []string
	for len(nodes) > 0 {
		all = append(all, next())
	}
	return strings.Join(all, " ")
}

func TestThreadReferences_RFC5256_3(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"chain", []string{"a s 1", "b re:s 2 a", "c re:s 3 a b"}, "1(2(3))"},
		{"children before their parent", []string{"c re:s 3 a b", "b re:s 2 a", "a s 1"}, "3(2(1))"},
		{"two replies", []string{"a s 1", "b re:s 3 a", "c re:s 2 a"}, "1(3)(2)"},
		{"missing in the middle is left out", []string{"a s 1", "c re:s 3 a b"}, "1(2)"},
		{"one reply to a missing message stands for it", []string{"b re:s 2 a"}, "1"},
		{"two replies to a missing message keep its place", []string{"b re:s 2 a", "c re:s 3 a"}, "-(1)(2)"},
		{"missing below a missing one", []string{"c x 2 a b", "d y 3 a b"}, "-(1)(2)"},
		{"a loop", []string{"a s 1 b", "b s 2 a"}, "2(1)"},
		{"refers to itself", []string{"a s 1 a"}, "1"},
		{"Message-ID twice: the first has it", []string{"a s 1", "a t 2", "b u 3 a"}, "1(3) 2"},
		{"without Message-ID", []string{"- s 1", "- t 2"}, "1 2"},
		{"what others say of one without references", []string{"a s 1", "b t 2", "c u 3 a b"}, "1(2(3))"},
		{"own references win over what others say", []string{"a s 1", "c u 3 a b", "d v 4", "b t 5 d"}, "1 3(4(2))"},
		{"roots by date", []string{"a s 3", "b t 1", "c u 2"}, "2 3 1"},
		{"same date: in the mailbox's order", []string{"a s 1", "b t 1"}, "1 2"},
		{"subject: a reply joins", []string{"a s 1", "b re:s 2"}, "1(2)"},
		{"subject: an original joins none, they become siblings", []string{"a s 1", "b s 2"}, "-(1)(2)"},
		{"subject: the original becomes the parent, though later", []string{"a re:s 1", "b s 2"}, "2(1)"},
		{"subject: case does not matter", []string{"a S 1", "b re:s 2"}, "1(2)"},
		{"subject: replies only", []string{"a re:s 1", "b re:s 2"}, "-(1)(2)"},
		{"subject: three originals", []string{"a s 1", "b s 2", "c s 3"}, "-(1)(2)(3)"},
		{"subject: joins a missing message's", []string{"b re:s 2 a", "c re:s 3 a", "d s 4"}, "-(1)(2)(3)"},
		{"subject: two missing messages", []string{"b re:s 1 a", "c re:s 2 a", "e re:s 3 d", "f re:s 4 d"}, "-(1)(2)(3)(4)"},
		{"subject: an empty one joins none", []string{"a re: 1", "b re: 2"}, "1 2"},
		{"subject: forwarded", []string{"a s 1", "b [fwd:_s] 2"}, "1(2)"},
	} {
		nodes, err := byReferences(context.Background(), letters(c.lines...))
		if err != nil {
			t.Fatal(err)
		}
		if got := spell(nodes); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestThreadOrderedSubject_RFC5256_3(t *testing.T) {
	got := spell(bySubject(letters("a t 5", "b s 2", "c re:s 4", "d s 3", "e re:t 1")))
	if want := "5(1) 2(4)(3)"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestNormalID_RFC5256_3(t *testing.T) {
	for in, want := range map[string]string{
		`"01KF8JCEOCBS0045PS"@xxx.yyy.com`: "01KF8JCEOCBS0045PS@xxx.yyy.com", "a@b": "a@b", `"a\"b"@c`: `a"b@c`, `"open@c`: `"open@c`, "": "",
	} {
		if got := normalID(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := messageID([]byte(" (x) <a@b> <c@d>")); got != "a@b" {
		t.Errorf("first Message-ID: %q", got)
	}
}

// A thread as deep as a mailbox is large costs no stack and no time to speak of,
// in whatever order it comes.
func TestThreadReferences_Deep(t *testing.T) {
	const n = 100_000
	for _, reverse := range []bool{false, true} {
		msgs := make([]threaded, n)
		for i := range msgs {
			k := i
			if reverse {
				k = n - 1 - i
			}
			msgs[i] = threaded{uid: imapnum.UID(i + 1), date: int64(k), base: "S", reply: k > 0, id: fmt.Sprint(k)}
			for r := max(0, k-5); r < k; r++ {
				msgs[i].refs = append(msgs[i].refs, fmt.Sprint(r))
			}
		}
		nodes, err := byReferences(context.Background(), msgs)
		if err != nil || len(nodes) != n {
			t.Fatalf("%d nodes, %v", len(nodes), err)
		}
		for i, node := range nodes[:n-1] {
			if node.Children != 1 {
				t.Fatalf("node %d has %d children", i, node.Children)
			}
		}
	}
}

func TestSentDate_RFC5256_2_2(t *testing.T) {
	at := func(s string) int64 {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v.Unix()
	}
	internal := at("2020-01-02T03:04:05Z")
	for _, c := range []struct {
		date string
		want int64
	}{
		{"31 Dec 2000 16:01:33 -0800", at("2001-01-01T00:01:33Z")},
		{"Sun, 31 Dec 2000 16:01 +0130 (zone)", at("2000-12-31T14:31:00Z")},
		{"31 Dec 2000 16:01:33 EST", at("2000-12-31T21:01:33Z")},
		{"31 Dec 2000 16:01:33 nonsense", at("2000-12-31T16:01:33Z")},
		{"31 Dec 2000 26:01:33 -0800", at("2000-12-31T00:00:00Z")},
		{"31 Dec 2000", at("2000-12-31T00:00:00Z")},
		{"no date", internal},
		{"", internal},
	} {
		got := sentDate(&pb.FetchedMessage{InternalDate: internal}, &pb.Email{Envelope: &pb.Envelope{Date: []byte(c.date)}})
		if got != c.want {
			t.Errorf("%q: %v, want %v", c.date, time.Unix(got, 0).UTC(), time.Unix(c.want, 0).UTC())
		}
	}
}

func TestCollate_RFC5051(t *testing.T) {
	for _, c := range [][2]string{{"ÉCOLE", "école"}, {"ﬁn", "ﬁN"}, {"ǆ", "ǅ"}} {
		if a, b := collate(c[0], true), collate(c[1], true); string(a) != string(b) {
			t.Errorf("%q and %q: %q, %q", c[0], c[1], a, b)
		}
	}
	if string(collate("_a", true)) < string(collate("b", true)) {
		t.Error("_ stands after letters: they are compared in title case")
	}
}
