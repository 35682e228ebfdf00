package auth

import (
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// newParser returns a parser that checks the algorithm and the claims iss, aud,
// exp, nbf and iat.
func newParser(i Issuer, o Options) *jwt.Parser {
	return jwt.NewParser(
		jwt.WithValidMethods(i.Algorithms),
		jwt.WithIssuer(i.Name),
		jwt.WithAudience(i.Audience),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(o.Leeway),
		jwt.WithTimeFunc(o.Clock.Now),
		jwt.WithStrictDecoding(),
	)
}

// callerOf reads the caller's subject, account and scopes from the claims.
func callerOf(claims jwt.MapClaims, accountClaim string) (c Caller, err error) {
	if c.Subject, err = stringClaim(claims, "sub"); err != nil || c.CheckSubject() != nil {
		return Caller{}, ErrClaims
	}
	if c.Account, err = stringClaim(claims, accountClaim); err != nil {
		return Caller{}, err
	}
	if c.Scopes, err = scopesOf(claims); err != nil {
		return Caller{}, err
	}
	return c, nil
}

// scopesOf returns the claim scope, a list separated by spaces (RFC 8693), or
// else scp, which issuers send as such a list or as an array.
func scopesOf(claims jwt.MapClaims) ([]string, error) {
	if _, ok := claims["scope"]; ok {
		scopes, err := stringClaim(claims, "scope")
		return strings.Fields(scopes), err
	}
	list, ok := claims["scp"].([]any)
	if !ok {
		scopes, err := stringClaim(claims, "scp")
		return strings.Fields(scopes), err
	}
	scopes := make([]string, len(list))
	for i := range list {
		if scopes[i], ok = list[i].(string); !ok {
			return nil, ErrClaims
		}
	}
	return scopes, nil
}

// stringClaim returns a claim that is a string, or "" if it is absent.
func stringClaim(claims jwt.MapClaims, name string) (string, error) {
	switch value := claims[name].(type) {
	case nil:
		return "", nil
	case string:
		return value, nil
	}
	return "", ErrClaims
}
