//go:build unix && !linux

package cli

import "syscall"

// adopt makes a child a group of its own. Only Linux can end it when this process is killed.
func adopt() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
