package belaytest

import (
	"context"
	"errors"
	"net"
	"time"
)

// Closes waits until nobody listens at the address, and reports whether that came within ten seconds.
func Closes(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return eventually(ctx, func() error { return nil }, func(ctx context.Context) error {
		c, err := new(net.Dialer).DialContext(ctx, "tcp4", address)
		if err != nil {
			return nil //nolint:nilerr // refused is what is waited for
		}
		return errors.Join(errors.New("it still listens"), c.Close())
	}) == nil
}
