package wire

// GetQuota is RFC 9208, 4.1.1. The name of the root is as the client spells it.
type GetQuota struct{ Root string }

// GetQuotaRoot is RFC 9208, 4.1.2. The mailbox need not exist.
type GetQuotaRoot struct{ Mailbox string }

// SetQuota is RFC 9208, 4.1.3. Each resource is named once.
type SetQuota struct {
	Root   string
	Limits []QuotaLimit
}

// QuotaLimit is a limit that is asked for: of a resource, in upper case, which
// need not be one that there is.
type QuotaLimit struct {
	Resource string
	Limit    uint64
}

func (GetQuota) command()     {}
func (GetQuotaRoot) command() {}
func (SetQuota) command()     {}

// maxQuotaLimits bounds the resources of a command; four have been defined.
const maxQuotaLimits = 30

func (p *parser) setQuota() Command {
	s := SetQuota{Root: p.astring()}
	p.sp()
	seen := make(map[string]bool)
	p.list0(func() {
		l := QuotaLimit{Resource: p.atom()}
		p.sp()
		l.Limit = p.number64()
		if seen[l.Resource] || len(s.Limits) >= maxQuotaLimits {
			p.fail("repeated resource, or too many")
			return
		}
		seen[l.Resource] = true
		s.Limits = append(s.Limits, l)
	})
	return s
}
