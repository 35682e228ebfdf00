package api

import (
	"net/http"
	"strings"
)

// idempotencyKey returns the request's Idempotency-Key, or "" if there is none. The
// header is a string of a structured field (RFC 9651), in quotes; the same key without
// quotes is accepted too. The engine checks its length and characters.
func idempotencyKey(h http.Header) (string, error) {
	keys := h.Values("Idempotency-Key")
	if len(keys) == 0 {
		return "", nil
	}
	key, ok := keys[0], len(keys) == 1
	if strings.HasPrefix(key, `"`) && ok {
		key, ok = unquote(key)
	}
	if !ok || key == "" {
		return "", invalid(fieldError{Field: "Idempotency-Key", In: "header", Detail: `must occur once and be a key, alone or in quotes, in which only " and \ are escaped, by \`})
	}
	return key, nil
}

// unquote returns the content of a quoted string of a structured field.
func unquote(s string) (string, bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; c {
		case '"':
			return b.String(), i == len(s)-1
		case '\\':
			if i++; i == len(s) || s[i] != '"' && s[i] != '\\' {
				return "", false
			}
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", false
}
