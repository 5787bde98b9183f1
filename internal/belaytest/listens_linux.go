package belaytest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// listening is the state of a socket in /proc/net/tcp that waits for connections.
const listening = "0A"

// listens reports whether the socket that listens on the port of 127.0.0.1 is held by a process of the group.
func listens(group, port int) (bool, error) {
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return false, err
	}
	want := fmt.Sprintf("0100007F:%04X", port) // 127.0.0.1 as the kernel prints it on a little-endian machine
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) > 9 && f[1] == want && f[3] == listening {
			return holds(group, "socket:["+f[9]+"]")
		}
	}
	return false, nil
}

// holds reports whether a process of the group has the file open.
func holds(group int, file string) (bool, error) {
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return false, err
	}
	for _, dir := range processes {
		if pgrp(dir) != group {
			continue
		}
		descriptors, err := os.ReadDir(filepath.Join(dir, "fd"))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it ended meanwhile
		}
		if err != nil {
			return false, err
		}
		for _, d := range descriptors {
			if target, err := os.Readlink(filepath.Join(dir, "fd", d.Name())); err == nil && target == file {
				return true, nil
			}
		}
	}
	return false, nil
}

// pgrp is the process group of a process by its folder in /proc, or 0 when it has ended.
func pgrp(dir string) int {
	stat, err := os.ReadFile(filepath.Join(dir, "stat")) //nolint:gosec // a folder that the kernel made
	if err != nil {
		return 0
	}
	// pid (name) state ppid pgrp …, where the name may hold anything, parentheses too.
	name := strings.LastIndexByte(string(stat), ')')
	f := strings.Fields(string(stat[name+1:]))
	if len(f) < 3 {
		return 0
	}
	group, err := strconv.Atoi(f[2])
	if err != nil {
		return 0
	}
	return group
}
