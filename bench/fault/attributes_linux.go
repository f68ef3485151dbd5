package fault

import "syscall"

// attributes are those of a child: of its own process group, so that ^C in a
// terminal reaches only the test, which then stops it in order; killed when the
// test dies.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
