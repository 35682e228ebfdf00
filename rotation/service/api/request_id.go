package api

import (
	"crypto/rand"
	"net/http"
	"strings"

	"cvvrotation/rotation/internal/cardid"
)

// newRequestID returns an id for a request. A client cannot choose it, so no two
// requests have the same.
func newRequestID() string { return rand.Text() }

// clientRequestID returns the request's X-Request-Id if it is safe to log, or else "".
// An id without a letter could be a PAN or a CVV.
func clientRequestID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	if cardid.CheckName(id) == nil && strings.ContainsFunc(id, func(c rune) bool { return c > '9' && c != ':' && c != '_' }) {
		return id
	}
	return ""
}
