package raftfsm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/keys"
	"github.com/quorumail/quorumail/raftfsm/model"
)

// resources are those of the model, in the order of the state machine's.
var resources = []model.Resource{model.Storage, model.Messages, model.Mailboxes}

// limit sets random limits, near the usage, so that histories go beyond them.
func (p *pair) limit() {
	octets, messages, mailboxes := p.model.Usage()
	l, want := &pb.QuotaLimits{}, map[model.Resource]uint64{}
	for i, r := range resources {
		if rapid.IntRange(0, 2).Draw(p.T, "limited") == 0 {
			continue
		}
		used := []uint64{(octets + 1023) / 1024, messages, mailboxes}[i]
		n := used + rapid.Uint64Range(0, 3).Draw(p.T, "more")
		n -= min(n, rapid.Uint64Range(0, 1).Draw(p.T, "less"))
		want[r] = n
		*[]**uint64{&l.Storage, &l.Messages, &l.Mailboxes}[i] = &n
	}
	op := &pb.SetQuotaOp{Limits: l}
	which := resources
	if rapid.Bool().Draw(p.T, "only some") {
		which = rapid.SliceOfNDistinct(rapid.SampledFrom(resources), 1, 3, rapid.ID).Draw(p.T, "which")
		for _, r := range which {
			op.Only = append(op.Only, pb.QuotaResource(pb.QuotaResource_value["QUOTA_RESOURCE_"+string(r)]))
		}
	}
	p.model.SetQuota(want, which...)
	p.equal("set quota", p.do(&pb.Entry{Op: &pb.Entry_SetQuota{SetQuota: op}}).GetCode(), pb.Code_CODE_OK)
}

// pad makes a message larger, so that some are of more than a unit of STORAGE.
func (p *pair) pad(msg *pb.AppendMessage) {
	if rapid.IntRange(0, 3).Draw(p.T, "large") > 0 {
		return
	}
	c := msg.GetInline()[0]
	c.Data = append(c.Data, make([]byte, rapid.IntRange(900, 3100).Draw(p.T, "padding"))...)
	c.RawSize, msg.Email.Size = uint32(len(c.Data)), uint64(len(c.Data))
}

// refusedFor notes for which resource the step's last request that was refused
// for any was refused.
func (p *pair) refusedFor(res *pb.Result) {
	if res.GetCode() == pb.Code_CODE_OVER_QUOTA {
		p.over = model.Resource(strings.TrimPrefix(res.GetOverQuota().String(), "QUOTA_RESOURCE_"))
	}
}

func (p *pair) compareQuota(a *Account) {
	q := a.Quota()
	octets, messages, mailboxes := p.model.Usage()
	p.equal("usage", []any{q.GetOctets(), q.GetMessages(), q.GetMailboxes()}, []any{octets, messages, mailboxes})
	limits := map[model.Resource]uint64{}
	for i, limit := range []*uint64{q.GetLimits().Storage, q.GetLimits().Messages, q.GetLimits().Mailboxes} {
		if limit != nil {
			limits[resources[i]] = *limit
		}
	}
	p.equal("limits", limits, p.model.Limits)
}

// limits reads the limits of a transcript's command.
func (c *command) limits() *pb.QuotaLimits {
	l := &pb.QuotaLimits{}
	for name, field := range map[string]**uint64{"storage": &l.Storage, "messages": &l.Messages, "mailboxes": &l.Mailboxes} {
		if _, ok := c.args[name]; ok {
			*field = proto.Uint64(uint64(c.number(name, 0)))
		}
	}
	return l
}

// quotaLine shows an account's quota as IMAP does, and the octets.
func quotaLine(q *pb.Quota) string {
	limit := func(n *uint64) string {
		if n == nil {
			return "none"
		}
		return fmt.Sprint(*n)
	}
	l := q.GetLimits()
	return fmt.Sprintf("STORAGE %d %s MESSAGE %d %s MAILBOX %d %s (%d octets)\n", (q.GetOctets()+1023)/1024, limit(l.Storage),
		q.GetMessages(), limit(l.Messages), q.GetMailboxes(), limit(l.Mailboxes), q.GetOctets())
}

func setQuota(storage, messages, mailboxes any) *pb.Entry {
	limit := func(n any) *uint64 {
		if n == nil {
			return nil
		}
		return proto.Uint64(uint64(n.(int)))
	}
	return &pb.Entry{Account: alice, Op: &pb.Entry_SetQuota{SetQuota: &pb.SetQuotaOp{
		Limits: &pb.QuotaLimits{Storage: limit(storage), Messages: limit(messages), Mailboxes: limit(mailboxes)},
	}}}
}

// An account's record of before there were quotas has no usage: it is counted
// when the account is first looked at, the same on each replica.
func TestUsageOfOldAccounts_RFC9208_5(t *testing.T) {
	m := newMachine(t)
	m.ok(newAccount())
	m.ok(create("a"))
	m.ok(m.mail("a"))
	m.ok(m.mail("INBOX"))
	m.ok(m.mail("INBOX", `\Deleted`))
	m.ok(expunge())
	look := func() string {
		v, err := m.f.View()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = v.Close() }()
		a, err := v.Account(alice)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(a.Quota())
	}
	want, hash := look(), m.f.hashForTest(t)
	key := keys.ForAccount(1, alice).Key(keys.Account)
	value, err := get(m.db, key)
	if err != nil {
		t.Fatal(err)
	}
	rec, err := decodeAccount(value)
	if err != nil {
		t.Fatal(err)
	}
	rec.quota = nil
	if err := m.db.Set(key, rec.encode(), pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	if m.f.hashForTest(t) == hash {
		t.Fatal("the record is as before")
	}
	if got := look(); got != want {
		t.Errorf("quota of an old account is %s, want %s", got, want)
	}
	m.check(alice)
	m.ok(setQuota(nil, 2, nil))
	if res := m.apply(m.mail("a"))[0]; res.GetCode() != pb.Code_CODE_OVER_QUOTA || res.GetOverQuota() != pb.QuotaResource_QUOTA_RESOURCE_MESSAGE {
		t.Errorf("the third message: %v", res)
	}
	m.check(alice)
}

func TestLimitsAreBounded_RFC9208_3_1_2(t *testing.T) {
	m := newMachine(t)
	bad := &pb.QuotaLimits{Messages: proto.Uint64(1 << 63)}
	if res := m.apply(&pb.Entry{Account: alice, Op: &pb.Entry_CreateAccount{CreateAccount: &pb.CreateAccountOp{Quota: bad}}})[0]; res.GetCode() != pb.Code_CODE_INVALID {
		t.Errorf("account with a limit above 63 bits: %v", res)
	}
	m.ok(newAccount())
	for _, op := range []*pb.SetQuotaOp{{Limits: bad}, {Only: []pb.QuotaResource{4}}, {Only: []pb.QuotaResource{0}}, {Only: []pb.QuotaResource{-1}}} {
		if res := m.apply(&pb.Entry{Account: alice, Op: &pb.Entry_SetQuota{SetQuota: op}})[0]; res.GetCode() != pb.Code_CODE_INVALID || res.GetModSeq() != 0 {
			t.Errorf("%v: %v", op, res)
		}
	}
	most := &pb.QuotaLimits{Storage: proto.Uint64(maxQuota), Messages: proto.Uint64(maxQuota), Mailboxes: proto.Uint64(maxQuota)}
	m.ok(&pb.Entry{Account: alice, Op: &pb.Entry_SetQuota{SetQuota: &pb.SetQuotaOp{Limits: most}}})
	m.ok(m.mail("INBOX"))
	m.ok(create("a"))
	m.check(alice)
}
