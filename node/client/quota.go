package client

import pb "github.com/quorumail/quorumail/proto/quorumail/v1"

// QuotaLimits returns the limits that hold for a quota root: those that were set,
// and those of the system where they are lower.
func QuotaLimits(q *pb.Quota) *pb.QuotaLimits {
	set, system := q.GetLimits(), q.GetInherent()
	if set == nil {
		set = &pb.QuotaLimits{}
	}
	if system == nil {
		system = &pb.QuotaLimits{}
	}
	return &pb.QuotaLimits{
		Storage:   lower(set.Storage, system.Storage),
		Messages:  lower(set.Messages, system.Messages),
		Mailboxes: lower(set.Mailboxes, system.Mailboxes),
	}
}

// lower returns the lower of two limits; nil is none.
func lower(a, b *uint64) *uint64 {
	if a == nil || b != nil && *b < *a {
		return b
	}
	return a
}
