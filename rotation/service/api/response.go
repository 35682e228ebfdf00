package api

import (
	"cmp"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
)

// response is what a request is answered with.
type response struct {
	status      int
	contentType string // "": application/json
	body        any    // nil: none; []byte is written unchanged
	header      http.Header
}

func (r *response) write(c *call) {
	header := c.w.Header()
	for name, values := range r.header {
		header[name] = values
	}
	header.Set("X-Request-Id", cmp.Or(c.clientID, c.requestID))
	header.Set("X-Content-Type-Options", "nosniff")
	if header.Get("Cache-Control") == "" {
		header.Set("Cache-Control", "no-store")
	}
	if r.body == nil {
		c.w.WriteHeader(r.status)
		return
	}
	b, ok := r.body.([]byte)
	if !ok {
		var err error
		if b, err = json.Marshal(r.body); err != nil {
			panic("api: encoding a response failed") // every body is a type of this package
		}
		defer clear(b) // it may hold a CVV
	}
	contentType := r.contentType
	if contentType == "" {
		contentType = "application/json"
	}
	header.Set("Content-Type", contentType)
	c.w.WriteHeader(r.status)
	c.w.Write(b) // fails only if the client has disconnected
}

// instant returns nil for the zero time, which is null in JSON.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
