package auth

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/golang-jwt/jwt/v5"
)

// The issuer and the audience of tokens made by a [Dev], and its key's id.
const (
	DevIssuer   = "cvv-development"
	DevAudience = "cvv"
	devKey      = "development"
)

// Dev is an issuer for development and tests: it makes tokens and verifies
// them, with a key that it draws, keeps in memory and forgets with the process.
// It is ready at once, and needs no Run. Make one with NewDev.
type Dev struct {
	*Verifier
	clock clock.Clock
	key   ed25519.PrivateKey
}

// NewDev returns an issuer with a new key. A nil clock is the real one.
func NewDev(clk clock.Clock) *Dev {
	public, private, _ := ed25519.GenerateKey(rand.Reader) // which never fails
	jwks := fmt.Appendf(nil, `{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":%q,"x":%q}]}`,
		devKey, base64.RawURLEncoding.EncodeToString(public))
	c := Config{Issuer: DevIssuer, Audience: DevAudience, Algorithms: []string{"EdDSA"}, Clock: clk}
	setDefaults(&c)
	v, err := newVerifier(c, func(context.Context) ([]byte, error) { return jwks, nil })
	if err == nil {
		err = v.keys.update(context.Background())
	}
	if err != nil {
		panic("auth: the development issuer's own configuration: " + err.Error())
	}
	v.keys.patience = 0 // there will be no other key
	return &Dev{Verifier: v, clock: c.Clock, key: private}
}

// Mint returns a token for the caller that is good from now on for the lifetime.
// Whoever has it is the caller: print it only where the issuer is one of
// development.
func (d *Dev) Mint(c Caller, lifetime time.Duration) string {
	now := d.clock.Now()
	claims := jwt.MapClaims{
		"iss": DevIssuer, "aud": DevAudience, "sub": c.Subject,
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(lifetime).Unix(),
		"scope": strings.Join(c.Scopes, " "),
	}
	if c.Account != "" {
		claims["account_id"] = c.Account
	}
	t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims)
	t.Header["kid"] = devKey
	token, err := t.SignedString(d.key)
	if err != nil {
		panic("auth: signing with the development key: " + err.Error()) // the key fits the algorithm
	}
	return token
}
