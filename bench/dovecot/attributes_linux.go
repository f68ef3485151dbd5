package dovecot

import "syscall"

// attributes are those of the master: of its own process group, so that an
// interrupt from the terminal reaches it through Close; told to stop when we die.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
