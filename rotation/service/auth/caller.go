package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

// maxSubject is the maximum length of a subject in bytes, because it is logged.
const maxSubject = 255

// Caller identifies who sent a request.
type Caller struct {
	// Subject names the caller in logs, rate limits and audit records: the claim
	// sub of a token. It is never empty; see
	// CheckSubject.
	Subject string
	// Account is the account whose cards the caller may use: the account claim of
	// a token. Empty if the caller belongs to no account.
	Account string
	// Scopes are the operations granted. They must not be modified.
	Scopes []string
	// By says, for audit records, what identified the caller, such as
	// "certificate". Defaults to "token".
	By string
}

// Has reports whether the caller was granted the scope.
func (c Caller) Has(scope string) bool { return slices.Contains(c.Scopes, scope) }

// CheckSubject returns an error unless the subject is fit for logs and rate limits:
// 1 to 255 bytes of printable characters in UTF-8. The error does not contain it.
func (c Caller) CheckSubject() error {
	if len(c.Subject) == 0 || len(c.Subject) > maxSubject {
		return fmt.Errorf("auth: the subject has %d bytes; 1 to %d are accepted", len(c.Subject), maxSubject)
	}
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
	if !utf8.ValidString(c.Subject) || strings.ContainsFunc(c.Subject, unprintable) {
		return errors.New("auth: the subject contains characters that are not printable")
	}
	return nil
}

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
