package api

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// readQuery parses the query. It refuses parameters other than the operation's,
// because URLs end up in logs.
func (c *call) readQuery() error {
	var err error
	if c.query, err = url.ParseQuery(c.r.URL.RawQuery); err != nil {
		return invalid(fieldError{Field: "query", In: "query", Detail: "is malformed"})
	}
	for name, values := range c.query {
		switch {
		case len(c.op.query) == 0:
			return invalid(fieldError{Field: quotable(name), In: "query", Detail: "is unknown: this operation has no query parameters"})
		case !slices.Contains(c.op.query, name):
			return invalid(fieldError{Field: quotable(name), In: "query", Detail: "is unknown: expected " + strings.Join(c.op.query, ", ")})
		case len(values) > 1:
			return invalid(fieldError{Field: name, In: "query", Detail: "must occur once"})
		}
	}
	return nil
}

// queryInt returns a parameter of the query: decimal digits, within the bounds. Without
// the parameter it returns the default.
func (c *call) queryInt(name string, byDefault, low, high int64) (int64, error) {
	values, ok := c.query[name]
	if !ok {
		return byDefault, nil
	}
	n, err := strconv.ParseUint(values[0], 10, 63)
	if err != nil || int64(n) < low || int64(n) > high {
		return 0, invalid(fieldError{Field: name, In: "query", Detail: fmt.Sprintf("must be %d to %d", low, high)})
	}
	return int64(n), nil
}
