//go:build unix

package fault

import (
	"errors"
	"syscall"
)

// isFull reports whether a disk has no room.
func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) }
