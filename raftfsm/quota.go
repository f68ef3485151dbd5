package raftfsm

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	pb "github.com/quorumail/quorumail/proto/quorumail/v1"
	"github.com/quorumail/quorumail/raftfsm/keys"
)

// Quota (RFC 9208). An account is one quota root. What counts is what its
// mailboxes hold now, as their records say: so the usage falls with an expunge
// and with the deletion of a mailbox at once, whenever the contents are
// collected, and moving a message within the account changes nothing.
//
// A command is refused if it adds to a resource and there would be more of it
// than its limit; what adds nothing never is, however low the limits are set.

const (
	// quotaUnit is the unit of STORAGE in octets (RFC 9208, 5.1).
	quotaUnit = 1024
	// maxQuota is the highest limit that can be told (RFC 9208, 3.1.2).
	maxQuota = 1<<63 - 1
)

// quotaRecord is the part of an account's record that quota needs; how many
// mailboxes there are stands beside it.
type quotaRecord struct {
	octets, messages uint64
	// limits are one more than the limit, so that 0 is none; by resource, which
	// is one more than the index.
	limits [3]uint64
}

func (q *quotaRecord) append(b []byte) []byte {
	b = binary.AppendUvarint(b, q.octets)
	b = binary.AppendUvarint(b, q.messages)
	for _, limit := range q.limits {
		b = binary.AppendUvarint(b, limit)
	}
	return b
}

func (d *decoder) quota() *quotaRecord {
	q := &quotaRecord{octets: d.uvarint(), messages: d.uvarint()}
	for i := range q.limits {
		q.limits[i] = d.uvarint()
	}
	return q
}

// countUsage gives an account's record that was written before there were
// quotas what it lacks, from the mailboxes' records.
func countUsage(r pebble.Reader, space keys.Space, rec *accountRecord) error {
	if rec.quota != nil {
		return nil
	}
	rec.quota = &quotaRecord{}
	start, end := space.Kind(keys.Mailbox)
	return scan(r, start, end, func(_, value []byte) (bool, error) {
		info, err := unmarshalInfo(value)
		rec.quota.octets += info.GetSize()
		rec.quota.messages += uint64(info.GetExists())
		return true, err
	})
}

// use counts a message that a mailbox has got, or has no more (n = -1).
func (a *account) use(rec *messageRecord, n int) {
	a.rec.quota.octets += uint64(n) * rec.size
	a.rec.quota.messages += uint64(n)
	a.dirty = true
}

// demand is what a command adds to the usage of each resource; a negative one
// takes away.
type demand struct{ octets, messages, mailboxes int64 }

// room refuses what an account has no room for; nil: it has.
func (a *account) room(d demand) *pb.Result {
	units := (a.rec.quota.octets + uint64(d.octets) + quotaUnit - 1) / quotaUnit
	for i, want := range []struct {
		add  int64
		then uint64
		text string
	}{
		{d.octets, units, "over quota: no room for so many octets"},
		{d.messages, a.rec.quota.messages + uint64(d.messages), "over quota: too many messages"},
		{d.mailboxes, uint64(a.rec.mailboxes) + uint64(d.mailboxes), "over quota: too many mailboxes"},
	} {
		if limit := a.rec.quota.limits[i]; want.add > 0 && limit > 0 && want.then > limit-1 {
			res := refuse(pb.Code_CODE_OVER_QUOTA, want.text)
			res.OverQuota = pb.QuotaResource(i + 1)
			return res
		}
	}
	return nil
}

// demandOf is what an append or a copy of messages of these sizes adds.
func demandOf[M any](msgs []M, size func(M) uint64) demand {
	d := demand{messages: int64(len(msgs))}
	for _, m := range msgs {
		d.octets += int64(size(m))
	}
	return d
}

func messageSize(m message) uint64 { return m.rec.size }

// less is what is added if something else goes at the same time.
func (d demand) less(gone demand) demand {
	return demand{d.octets - gone.octets, d.messages - gone.messages, d.mailboxes - gone.mailboxes}
}

// packLimits checks limits and turns them into what is stored of them.
func packLimits(l *pb.QuotaLimits) (packed [3]uint64, ok bool) {
	if l == nil {
		return packed, true
	}
	for i, limit := range []*uint64{l.Storage, l.Messages, l.Mailboxes} {
		switch {
		case limit == nil:
		case *limit > maxQuota:
			return packed, false
		default:
			packed[i] = *limit + 1
		}
	}
	return packed, true
}

// setQuota sets limits (RFC 9208, 4.1.3).
func (tx *tx) setQuota(a *account, op *pb.SetQuotaOp) (*pb.Result, error) {
	limits, ok := packLimits(op.GetLimits())
	if !ok {
		return refuse(pb.Code_CODE_INVALID, "a limit is too high"), nil
	}
	if only := op.GetOnly(); len(only) > 0 {
		asked := limits
		limits = a.rec.quota.limits
		for _, resource := range only {
			i := int(resource) - 1
			if i < 0 || i >= len(limits) {
				return refuse(pb.Code_CODE_INVALID, "no such resource"), nil
			}
			limits[i] = asked[i]
		}
	}
	res := &pb.Result{Code: pb.Code_CODE_OK}
	if limits != a.rec.quota.limits {
		a.rec.quota.limits = limits
		res.ModSeq = uint64(a.take())
	}
	return res, nil
}

// Quota returns the account's limits and usage.
func (a *Account) Quota() *pb.Quota {
	most := uint64(maxMailboxes)
	q := &pb.Quota{
		Limits: &pb.QuotaLimits{}, Inherent: &pb.QuotaLimits{Mailboxes: &most},
		Octets: a.rec.quota.octets, Messages: a.rec.quota.messages, Mailboxes: uint64(a.rec.mailboxes),
	}
	for i, field := range []**uint64{&q.Limits.Storage, &q.Limits.Messages, &q.Limits.Mailboxes} {
		if stored := a.rec.quota.limits[i]; stored > 0 {
			limit := stored - 1
			*field = &limit
		}
	}
	return q
}

// quota checks that the usage is what the mailboxes hold. The limits may be
// below it.
func (c *checker) quota(infos []*pb.MailboxInfo) error {
	var octets, messages uint64
	for _, info := range infos {
		octets += info.GetSize()
		messages += uint64(info.GetExists())
	}
	if q := c.a.rec.quota; q.octets != octets || q.messages != messages {
		return fmt.Errorf("%w: usage is %d octets in %d messages, should be %d in %d", ErrInvariant, q.octets, q.messages, octets, messages)
	}
	return nil
}
