package auth

import (
	"errors"
	"net/http"
	"strings"
)

// FromRequest returns the bearer token of a request. The error is ErrMissing
// when there is no Authorization header, and ErrMalformed for one of another
// kind, or several.
func FromRequest(r *http.Request) (string, error) {
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		return "", ErrMissing
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	token = strings.TrimLeft(token, " ")
	if len(values) > 1 || !ok || token == "" || !strings.EqualFold(scheme, "bearer") {
		return "", ErrMalformed
	}
	return token, nil
}

// Challenge returns the WWW-Authenticate header for an error of FromRequest or
// Authenticate (RFC 6750, 3). It does not say what was wrong with a token.
func Challenge(err error) string {
	if errors.Is(err, ErrMissing) {
		return `Bearer realm="cvv"`
	}
	return `Bearer realm="cvv", error="invalid_token"`
}

// ScopeChallenge returns the WWW-Authenticate header for a caller that lacks the
// scope.
func ScopeChallenge(scope string) string {
	return `Bearer realm="cvv", error="insufficient_scope", scope="` + scope + `"`
}
