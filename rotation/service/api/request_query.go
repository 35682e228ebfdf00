package api

import "net/url"

// readQuery parses the query. It refuses parameters other than the operation's,
// because URLs end up in logs.
func (c *call) readQuery() error {
	var err error
	if c.query, err = url.ParseQuery(c.r.URL.RawQuery); err != nil {
		return invalid(fieldError{Field: "query", In: "query", Detail: "is malformed"})
	}
	for name, values := range c.query {
		switch {
		case name != c.op.query && c.op.query == "":
			return invalid(fieldError{Field: quotable(name), In: "query", Detail: "is unknown: this operation has no query parameters"})
		case name != c.op.query:
			return invalid(fieldError{Field: quotable(name), In: "query", Detail: "is unknown: the only query parameter is " + c.op.query})
		case len(values) > 1:
			return invalid(fieldError{Field: name, In: "query", Detail: "must occur once"})
		}
	}
	return nil
}
