//go:build !linux

package fault

import "syscall"

// attributes are those of a child: the default ones. Only Linux can tie a child's
// life to its parent's.
func attributes() *syscall.SysProcAttr { return nil }
