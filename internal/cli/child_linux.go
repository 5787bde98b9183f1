package cli

import "syscall"

// adopt makes a child a group of its own that ends with this process, even when this one is killed.
func adopt() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
