package session

// place is where the name of a mailbox leads.
type place struct {
	// store is of the account that the mailbox is in, on behalf of this
	// connection's.
	store Store
	// owner is that account; empty: this connection's own.
	owner string
	// name is what the mailbox is called there.
	name string
}

// at returns where a name leads. There need not be a mailbox.
func (c *Conn) at(name string) place { return place{store: c.store, name: name} }

// shown returns how this connection names a mailbox of a place's account.
func (p place) shown(name string) string { return name }

// selects reports whether the selected mailbox is one of a place's account.
func (c *Conn) selects(p place, mailboxID uint64) bool {
	return c.box != nil && c.box.id == mailboxID && c.box.store.Account() == p.store.Account()
}
