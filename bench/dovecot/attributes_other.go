//go:build !linux

package dovecot

import "syscall"

// attributes are those of the master: of its own process group, so that an
// interrupt from the terminal reaches it through Close.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
