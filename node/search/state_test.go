package search_test

import (
	"github.com/quorumail/quorumail/node/search"
	"github.com/quorumail/quorumail/raftfsm"
)

// A mailbox of the state machine and its account are a search.Mailbox as they
// are.
var _ search.Mailbox = struct {
	*raftfsm.Mailbox
	*raftfsm.Account
}{}
