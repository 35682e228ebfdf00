package api

import (
	"crypto/rand"
	"net/http"
	"strings"

	"cvvrotation/rotation/internal/cardid"
)

// requestID returns the request's X-Request-Id if it is safe to log, or else a new
// id. An id without a letter could be a PAN or a CVV.
func requestID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	if cardid.CheckName(id) == nil && strings.ContainsFunc(id, func(c rune) bool { return c > '9' && c != ':' && c != '_' }) {
		return id
	}
	return rand.Text()
}
