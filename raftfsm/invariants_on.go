//go:build invariants

package raftfsm

// checkAfter verifies every account that a batch has touched.
func (f *FSM) checkAfter(tx *tx) error {
	for _, a := range tx.order {
		if err := f.hot.check(f, a.name); err != nil {
			return err
		}
		if a.exists {
			if err := f.Check(a.name); err != nil {
				return err
			}
		}
	}
	return nil
}
