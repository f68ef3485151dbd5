package shard

import (
	"errors"
	"fmt"
	"syscall"
)

// Errors that callers tell apart, with errors.Is; besides *[NotLeaderError].
var (
	// ErrOverloaded: a queue is full; nothing was done. Retry later.
	ErrOverloaded = errors.New("overloaded")
	// ErrNotReady: the replica is starting or a quorum cannot be reached; nothing
	// was done. Retry, perhaps at another replica.
	ErrNotReady = errors.New("not ready")
	// ErrStopped: the replica is closed or has failed; nothing was done.
	ErrStopped = errors.New("replica stopped")
	// ErrUncertain: the command may or may not be applied, now or later:
	// leadership was lost or the caller's context ended while it was under way.
	// Retry with the same request id.
	ErrUncertain = errors.New("outcome unknown")
	// ErrTooLarge: the command is larger than a log entry may be.
	ErrTooLarge = errors.New("entry too large")
)

// NotLeaderError says that the replica does not lead; nothing was done.
type NotLeaderError struct {
	// Leader is the node id of the leader, or empty if not known.
	Leader string
}

func (e *NotLeaderError) Error() string {
	if e.Leader == "" {
		return "not the leader; leader not known"
	}
	return fmt.Sprintf("not the leader; %s is", e.Leader)
}

// IsDiskError reports whether an error is the operating system's of a disk that cannot
// be read or written, after which what is on it is not known. A file that is not there
// is none, and neither is a disk that is full: what was begun on it can be done again.
func IsDiskError(err error) bool {
	var no syscall.Errno
	return errors.As(err, &no) && no != syscall.ENOENT && no != syscall.ENOSPC
}
