package imapfront_test

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/quorumail/quorumail/imapfront/transcript"
	"github.com/quorumail/quorumail/node/nodetest"
	"github.com/quorumail/quorumail/proto/imapnum"
	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
)

// shares is two accounts in different shards: of the first the second may do
// everything in INBOX.
type shares struct {
	t          *testing.T
	c          *nodetest.Cluster
	addr       string
	alice, bob string
}

func newShares(t *testing.T) *shares {
	t.Helper()
	s := &shares{t: t, c: nodetest.Start(t, nodetest.Options{Nodes: 1, Shards: 2}), alice: "alice@example.org"}
	s.c.CreateAccount(t, s.alice, "secret")
	s.bob = another(t, s.c, s.alice)()
	s.addr, _ = front(t, s.c, nil)
	s.do(s.alice, &pb.Entry{Op: &pb.Entry_SetAcl{SetAcl: &pb.SetACLOp{
		Mailbox: "INBOX", Identifier: s.bob, Mode: pb.SetACLOp_MODE_REPLACE, Rights: uint32(imapnum.AllRights),
	}}})
	return s
}

func (s *shares) do(account string, e *pb.Entry) *pb.Result {
	s.t.Helper()
	res, err := s.c.Client(s.t).Session(account).Propose(s.t.Context(), e)
	if err != nil || res.GetCode() != pb.Code_CODE_OK {
		s.t.Fatalf("propose: %v, %v", res, err)
	}
	return res
}

// fill appends messages of a few octets to an INBOX.
func (s *shares) fill(account string, n int) {
	s.t.Helper()
	for n > 0 {
		op := &pb.AppendOp{Mailbox: "INBOX"}
		for range min(n, 500) {
			text := fmt.Appendf(nil, "Subject: %d\r\n\r\n", n)
			n--
			op.Messages = append(op.Messages, &pb.AppendMessage{
				Email: &pb.Email{
					Size: uint64(len(text)), BodyId: fmt.Appendf(nil, "%016d", n), Envelope: &pb.Envelope{},
					Structure: &pb.BodyPart{Type: "TEXT", Subtype: "PLAIN", HeaderSize: uint64(len(text)), BodyOffset: uint64(len(text))},
				},
				Inline: []*pb.BodyChunk{{RawSize: uint32(len(text)), Codec: pb.Codec_CODEC_RAW, Data: text}},
			})
		}
		s.do(account, &pb.Entry{Op: &pb.Entry_Append{Append: op}})
	}
}

// run runs the steps of a transcript of bob's.
func (s *shares) run(steps string) {
	s.t.Helper()
	script, err := transcript.Parse("# RFC 4314\nusers: bob alice\nstate: auth\n\n" + steps)
	if err != nil {
		s.t.Fatal(err)
	}
	transcript.Run(s.t, script, transcript.Server{
		User: s.bob, Password: "secret", Another: func() string { return s.alice }, Timeout: 30 * time.Second,
		Dial: func() (net.Conn, error) { return net.Dial("tcp", s.addr) },
	})
}

func (s *shares) exists(account string) uint32 {
	s.t.Helper()
	o, err := s.c.Client(s.t).Session(account).OpenMailbox(s.t.Context(), "INBOX", 0, nil, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return o.GetInfo().GetExists()
}

// More messages than one entry holds go to another account in several, in order.
func TestManyMessagesBetweenAccounts_RFC9051_6_4_7(t *testing.T) {
	s := newShares(t)
	s.fill(s.alice, 1200)
	s.run(`1 ok select "Other Users/$alice/INBOX"
...
1 ok [COPYUID $v 1:1200 1:1200] uid copy 1:* INBOX
1 ok fetch 1200 (body.peek[])
* 1200 FETCH (BODY[] {{Subject: 1\r\n\r\n}})
1 ok uid move 2:1199 INBOX
* OK [COPYUID $v 2:1199 1201:2398] $*
...
1 ok search all
* SEARCH 1 2
1 ok select INBOX
...
1 ok fetch 1,700,1200,1201 (body.peek[])
* 1 FETCH (BODY[] {{Subject: 1200\r\n\r\n}})
* 700 FETCH (BODY[] {{Subject: 501\r\n\r\n}})
* 1200 FETCH (BODY[] {{Subject: 1\r\n\r\n}})
* 1201 FETCH (BODY[] {{Subject: 1199\r\n\r\n}})
`)
	if n := s.exists(s.alice); n != 2 {
		t.Errorf("%d are left", n)
	}
	if n := s.exists(s.bob); n != 2398 {
		t.Errorf("%d have come", n)
	}
}

// COPY to another account is done whole or not at all: what has been copied when
// there is no more room is taken back.
func TestCopyBetweenAccountsIsUndone_RFC9051_6_4_7(t *testing.T) {
	s := newShares(t)
	s.fill(s.alice, 1200)
	limit := uint64(1100)
	s.do(s.bob, &pb.Entry{Op: &pb.Entry_SetQuota{SetQuota: &pb.SetQuotaOp{Limits: &pb.QuotaLimits{Messages: &limit}}}})
	s.run(`1 ok select "Other Users/$alice/INBOX"
...
1 no [OVERQUOTA] uid copy 1:* INBOX
1 no [OVERQUOTA] uid move 1:* INBOX
1 ok status INBOX (messages uidnext)
* STATUS INBOX (MESSAGES 0 UIDNEXT 2001)
1 ok search uid 1199:*
* SEARCH 1199 1200
`)
	if n := s.exists(s.bob); n != 0 {
		t.Errorf("%d are left behind", n)
	}
	if n := s.exists(s.alice); n != 1200 {
		t.Errorf("%d of 1200 are left", n)
	}
}

// Bodies of any size pass from account to account as they are.
func TestLargeBodiesBetweenAccounts(t *testing.T) {
	s := newShares(t)
	var want [][]byte
	for i, size := range []int{0, 1, 40 << 10, 300 << 10, 2 << 20} {
		body := bytes.Repeat(fmt.Appendf(nil, "line %d of a text\r\n", i), size/18+1)
		msg := append([]byte("Subject: large\r\nMessage-ID: <m@x>\r\n\r\n"), body...)
		want = append(want, msg)
	}
	var steps strings.Builder
	for _, msg := range want {
		fmt.Fprintf(&steps, "2 ok append INBOX {{{\n%s\n}}}\n", strings.ReplaceAll(strings.TrimSuffix(string(msg), "\r\n"), "\r\n", "\n"))
	}
	steps.WriteString(`1 ok select "Other Users/$alice/INBOX"
...
1 ok [COPYUID $v 1:5 1:5] copy 1:* INBOX
`)
	s.run(steps.String())
	ctx := t.Context()
	bodies := func(account string) (list [][]byte) {
		session := s.c.Client(t).Session(account)
		o, err := session.OpenMailbox(ctx, "INBOX", 0, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = session.Fetch(ctx, &pb.FetchRequest{
			MailboxId: o.GetInfo().GetId(), Uids: o.GetUids(), Body: pb.FetchRequest_BODY_ALL,
		}, func(r *pb.FetchResponse) error {
			if r.GetMessage() != nil {
				list = append(list, nil)
			}
			if r.GetChunk() != nil {
				list[len(list)-1] = append(list[len(list)-1], r.GetChunk().GetData()...)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	from, into := bodies(s.alice), bodies(s.bob)
	if len(from) != len(want) || len(into) != len(want) {
		t.Fatalf("%d and %d messages", len(from), len(into))
	}
	for i := range from {
		if !bytes.Equal(from[i], into[i]) {
			t.Errorf("message %d: %d octets became %d", i+1, len(from[i]), len(into[i]))
		}
	}
}
