// Package devtoken issues bearer tokens for development and tests, and verifies
// them. Its key exists in memory only and ends with the process. Do not use it in
// production: the package auth, which verifies tokens there, does not import it.
package devtoken

import (
	"cmp"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/golang-jwt/jwt/v5"

	"cvvrotation/rotation/service/auth"
)

// Claims iss and aud of the tokens, and the id of their key.
const (
	IssuerName = "cvv-development"
	Audience   = "cvv"
	keyID      = "development"
)

// Issuer issues tokens and verifies them. It is ready immediately. Use [New] to
// make one.
type Issuer struct {
	*auth.Verifier
	clock clock.Clock
	key   ed25519.PrivateKey
}

// New returns an issuer with a new random key. A nil clock means the system clock.
func New(clk clock.Clock) *Issuer {
	clk = cmp.Or(clk, clock.New())
	public, private, _ := ed25519.GenerateKey(rand.Reader) // never fails
	jwks := fmt.Appendf(nil, `{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":%q,"x":%q}]}`,
		keyID, base64.RawURLEncoding.EncodeToString(public))
	v, err := auth.NewStatic(auth.Issuer{Name: IssuerName, Audience: Audience, Algorithms: []string{"EdDSA"}}, jwks, auth.Options{Clock: clk})
	if err != nil {
		panic("devtoken: " + err.Error()) // the arguments are constants
	}
	return &Issuer{Verifier: v, clock: clk, key: private}
}

// Token returns a token for the caller that is valid from now on for the lifetime.
func (i *Issuer) Token(c auth.Caller, lifetime time.Duration) string {
	now := i.clock.Now()
	claims := jwt.MapClaims{
		"iss": IssuerName, "aud": Audience, "sub": c.Subject,
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(lifetime).Unix(),
		"scope": strings.Join(c.Scopes, " "),
	}
	if c.Account != "" {
		claims["account_id"] = c.Account
	}
	t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims)
	t.Header["kid"] = keyID
	token, err := t.SignedString(i.key)
	if err != nil {
		panic("devtoken: " + err.Error()) // the key fits the algorithm
	}
	return token
}
