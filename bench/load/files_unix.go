//go:build unix

package load

import "syscall"

// fileLimit is how many files this process may have open; 0 if it is not known. Go
// raises the soft limit to the hard one when a process starts.
func fileLimit() int {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return 0
	}
	return int(min(uint64(l.Max), 1<<30))
}
