//go:build !invariants

package raftfsm

// checkAfter is [FSM.Check] in builds with the invariants tag.
func (f *FSM) checkAfter(*tx) error { return nil }
