package sandbox

import "net/http"

type forwarder struct{}

func newForwarder(string) (*forwarder, error) { return &forwarder{}, nil }

func (f *forwarder) serve(c *call) error {
	return fail(http.StatusBadRequest, "UnknownOperationException", "The sandbox does not serve %s.", clip(c.service))
}
