package auth

import (
	"errors"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

var (
	// ErrConfig is for a [Config] that can't be used. The message says which
	// field, and what would do.
	ErrConfig = errors.New("auth: unusable configuration")
	// ErrNotReady is for a token that comes before the first key set was
	// loaded.
	ErrNotReady = errors.New("auth: no keys are loaded yet")
	// ErrToken is what every token that is not accepted matches, with one of
	// the errors below that says why. The caller should be told nothing more.
	ErrToken = errors.New("auth: the bearer token is missing or not accepted")
)

// tokenError is a reason not to accept a token. It matches ErrToken.
type tokenError string

func (e tokenError) Error() string        { return "auth: " + string(e) }
func (e tokenError) Is(target error) bool { return target == ErrToken }

// Why a token is not accepted. All of them match [ErrToken]. That a token is
// expired, early or for somebody else is only said of one with a good signature.
const (
	ErrMissing   = tokenError("no bearer token")
	ErrMalformed = tokenError("the token is no JWT, too long, or has critical headers")
	ErrAlgorithm = tokenError("the token is signed with an algorithm that is not configured")
	ErrKey       = tokenError("the token names a key that is not in the key set, or that does not fit its algorithm")
	ErrSignature = tokenError("the token's signature is wrong")
	ErrExpired   = tokenError("the token is expired")
	ErrEarly     = tokenError("the token is not valid yet")
	ErrIssuer    = tokenError("the token is from another issuer")
	ErrAudience  = tokenError("the token is for another audience")
	ErrClaims    = tokenError("the token lacks a claim, or has one of the wrong type")
)

// reasons maps errors of the libraries, the more telling ones first.
var reasons = []struct{ theirs, ours error }{
	{jwkset.ErrKeyNotFound, ErrKey},
	{jwt.ErrTokenExpired, ErrExpired},
	{jwt.ErrTokenNotValidYet, ErrEarly},
	{jwt.ErrTokenUsedBeforeIssued, ErrEarly},
	{jwt.ErrTokenInvalidIssuer, ErrIssuer},
	{jwt.ErrTokenInvalidAudience, ErrAudience},
	{jwt.ErrTokenRequiredClaimMissing, ErrClaims},
	{jwt.ErrTokenInvalidClaims, ErrClaims},
	{jwt.ErrInvalidKeyType, ErrKey},
	{jwt.ErrTokenSignatureInvalid, ErrSignature},
	{jwt.ErrTokenUnverifiable, ErrKey},
}

// reason returns one of our errors for one of the library's, whose text may
// quote parts of the token.
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
