package api

import "net/http"

// idempotencyKey returns the request's Idempotency-Key, or "" if there is none. The
// engine checks its length and characters.
func idempotencyKey(h http.Header) (string, error) {
	keys := h.Values("Idempotency-Key")
	switch {
	case len(keys) == 0:
		return "", nil
	case len(keys) > 1 || keys[0] == "":
		return "", invalid(fieldError{Field: "Idempotency-Key", In: "header", Detail: "must occur once and not be empty"})
	}
	return keys[0], nil
}
