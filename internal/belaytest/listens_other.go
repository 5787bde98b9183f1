//go:build !linux

package belaytest

// listens cannot be answered without /proc: that the child is alive and the port answers must do.
func listens(int, int) (bool, error) { return true, nil }
