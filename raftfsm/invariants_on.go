//go:build invariants

package raftfsm

// checkAfter verifies every account that a batch has touched.
func (f *FSM) checkAfter(tx *tx) error {
	for _, a := range tx.order {
		if a.exists {
			if err := f.Check(a.name); err != nil {
				return err
			}
		}
	}
	return nil
}
