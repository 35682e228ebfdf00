package auth

import (
	"net/http"
	"strings"
)

// AuthenticateRequest returns the sender of the request's bearer token. It returns
// the errors of [BearerToken] and [Verifier.Authenticate].
func (v *Verifier) AuthenticateRequest(r *http.Request) (Caller, error) {
	token, err := BearerToken(r)
	if err != nil {
		return Caller{}, err
	}
	return v.Authenticate(r.Context(), token)
}

// BearerToken returns the bearer token in the request's Authorization header. It
// returns ErrMissing if there is no such header, and ErrMalformed if there are
// several or the scheme is not Bearer.
func BearerToken(r *http.Request) (string, error) {
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

// Challenge returns the header WWW-Authenticate for the error (RFC 6750, section
// 3). It does not say why a token was refused.
func (e tokenError) Challenge() string {
	if e == ErrMissing {
		return `Bearer realm="cvv"`
	}
	return `Bearer realm="cvv", error="invalid_token"`
}

// ScopeChallenge returns the header WWW-Authenticate for a token that lacks the
// scope.
func ScopeChallenge(scope string) string {
	return `Bearer realm="cvv", error="insufficient_scope", scope="` + scope + `"`
}
