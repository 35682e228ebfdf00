// Package jwttest has signing keys of token issuers for tests.
package jwttest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// Key is a private key of an issuer.
type Key struct {
	ID, Algorithm string
	Private       crypto.Signer
}

// New returns a new key for EdDSA, ES256, RS256 or another RSA algorithm.
func New(t testing.TB, id, algorithm string) Key {
	t.Helper()
	var private crypto.Signer
	var err error
	switch algorithm {
	case "EdDSA":
		_, private, err = ed25519.GenerateKey(rand.Reader)
	case "ES256":
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return Key{id, algorithm, private}
}

// JWK returns the public key (RFC 7517 and RFC 8037).
func (k Key) JWK() map[string]string {
	b64 := base64.RawURLEncoding.EncodeToString
	m := map[string]string{"kid": k.ID, "use": "sig", "alg": k.Algorithm}
	switch p := k.Private.Public().(type) {
	case ed25519.PublicKey:
		m["kty"], m["crv"], m["x"] = "OKP", "Ed25519", b64(p)
	case *ecdsa.PublicKey:
		point, _ := p.Bytes() // 4, x, y (SEC 1)
		m["kty"], m["crv"], m["x"], m["y"] = "EC", "P-256", b64(point[1:33]), b64(point[33:])
	case *rsa.PublicKey:
		m["kty"], m["n"], m["e"] = "RSA", b64(p.N.Bytes()), b64(big.NewInt(int64(p.E)).Bytes())
	}
	return m
}

// JWKS returns a key set.
func JWKS(keys ...map[string]string) []byte {
	b, _ := json.Marshal(map[string]any{"keys": keys})
	return b
}

// Sign returns a token. header holds names and values; an empty value removes the
// name.
func (k Key) Sign(t testing.TB, claims jwt.MapClaims, header ...string) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.GetSigningMethod(k.Algorithm), claims)
	token.Header["kid"] = k.ID
	for i := 0; i < len(header); i += 2 {
		token.Header[header[i]] = header[i+1]
		if header[i+1] == "" {
			delete(token.Header, header[i])
		}
	}
	s, err := token.SignedString(k.Private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// SignRaw returns a token whose payload is the text, which need not be valid.
func (k Key) SignRaw(t testing.TB, payload string) string {
	t.Helper()
	return k.SignWith(t, `{"alg":"`+k.Algorithm+`","kid":"`+k.ID+`"}`, payload)
}

// SignWith returns a token whose header and payload are the texts, which need not be
// valid.
func (k Key) SignWith(t testing.TB, header, payload string) string {
	t.Helper()
	b64 := base64.RawURLEncoding.EncodeToString
	text := b64([]byte(header)) + "." + b64([]byte(payload))
	signature, err := jwt.GetSigningMethod(k.Algorithm).Sign(text, k.Private)
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + b64(signature)
}
