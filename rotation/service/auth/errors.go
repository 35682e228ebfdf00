package auth

import (
	"errors"

	"github.com/golang-jwt/jwt/v5"
)

var (
	// ErrConfig is returned by [New] and [NewStatic] for unusable arguments. The
	// message names the field and the accepted values.
	ErrConfig = errors.New("auth: invalid configuration")
	// ErrNotReady is returned until the first key set is loaded.
	ErrNotReady = errors.New("auth: no key set loaded yet")
	// ErrUnauthenticated matches every error that refuses a request's
	// credentials. The client must not learn more than that.
	ErrUnauthenticated = errors.New("auth: the credentials are missing or invalid")
)

// tokenError is a reason to refuse a token. It matches ErrUnauthenticated.
type tokenError string

func (e tokenError) Error() string        { return "auth: " + string(e) }
func (e tokenError) Is(target error) bool { return target == ErrUnauthenticated }

// Reasons to refuse a token. All of them match [ErrUnauthenticated]. ErrExpired
// and those behind it are returned only for tokens with a valid signature.
const (
	ErrMissing   = tokenError("no bearer token")
	ErrMalformed = tokenError("the token is not a JWT, is too long, has critical headers, or a name occurs twice")
	ErrAlgorithm = tokenError("the token's signature algorithm is not accepted")
	ErrKey       = tokenError("the token's key is not in the key set, or does not fit its algorithm")
	ErrSignature = tokenError("the token's signature is invalid")
	ErrExpired   = tokenError("the token has expired")
	ErrEarly     = tokenError("the token is not valid yet")
	ErrIssuer    = tokenError("the token is from another issuer")
	ErrAudience  = tokenError("the token is for another audience")
	ErrType      = tokenError("the token is of another type")
	ErrLifetime  = tokenError("the token's lifetime is too long")
	ErrBound     = tokenError("the token is bound to a key of its sender, which is not checked here")
	ErrClaims    = tokenError("a claim is missing, or its value is not accepted")
)

// ClaimError says which claim of a token, or member of its header, was wrong. It
// matches the reason and [ErrUnauthenticated]. It never contains the value.
type ClaimError struct {
	Reason error  // one of the reasons above
	Claim  string // as configured, or as the standards name it
}

// Error returns the reason and the claim.
func (e *ClaimError) Error() string { return e.Reason.Error() + ": " + e.Claim }

// Unwrap returns the reason.
func (e *ClaimError) Unwrap() error { return e.Reason }

// Challenge returns the header WWW-Authenticate, as the reason does.
func (e *ClaimError) Challenge() string { return ErrClaims.Challenge() }

func claimError(reason tokenError, claim string) error { return &ClaimError{reason, claim} }

// reasons maps the errors of the JWT library to ours, the most specific first.
var reasons = []struct{ theirs, ours error }{
	{jwt.ErrInvalidKeyType, ErrKey},
	{jwt.ErrTokenSignatureInvalid, ErrSignature},
	{jwt.ErrTokenUnverifiable, ErrKey},
}

// reason returns our error for one of the library's, whose text may quote parts
// of the token.
func reason(err error) error {
	if e, ok := errors.AsType[tokenError](err); ok {
		return e
	}
	for _, r := range reasons {
		if errors.Is(err, r.theirs) {
			return r.ours
		}
	}
	return ErrMalformed
}
