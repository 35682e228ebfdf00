package main

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"cvvrotation/rotation/service/internal/jwttest"
	"cvvrotation/sim/must"
)

var b64 = base64.RawURLEncoding.EncodeToString

// TestAttack_Tokens reveals the victim's CVV with tokens that must not be accepted.
func TestAttack_Tokens(t *testing.T) {
	t.Parallel()
	a := newAttacked(t)
	before := a.state(t)
	try := func(name, token string) {
		t.Run(name, func(t *testing.T) {
			status, answer, err := a.try("GET", a.pci+"/v1/cards/"+victimCard+"/cvv", token, "")
			if err != nil { // the client refuses to send it
				status, answer = 400, err.Error()
			}
			a.failed(t, before, status, answer)
		})
	}
	for name, token := range a.forgedTokens(t) {
		try("forged: "+name, token)
	}
	for name, change := range refusedClaims() {
		try("claims: "+name, a.sign(t, change))
	}
	for name, token := range a.mutatedTokens(t, 60) {
		try("mutated: "+name, token)
	}
	for name, token := range a.duplicateClaims(t) {
		try("duplicate: "+name, token)
	}
	a.finish(t, 140)
}

// refusedClaims are changes of a properly signed token's claims that must be refused.
func refusedClaims() map[string]jwt.MapClaims {
	now := time.Now().Unix()
	return map[string]jwt.MapClaims{
		"expired":                   {"exp": now - 3600},
		"no expiry":                 {"exp": nil},
		"expiry of 0":               {"exp": 0},
		"negative expiry":           {"exp": -1},
		"expiry as text":            {"exp": "4102444800"},
		"expiry that overflows":     {"exp": 1e300},
		"expiry as a list":          {"exp": []any{now + 3600}},
		"expiry true":               {"exp": true},
		"not yet valid":             {"nbf": now + 3600},
		"not before as text":        {"nbf": "0"},
		"issued in the future":      {"iat": now + 3600},
		"no issuer":                 {"iss": nil},
		"other issuer":              {"iss": "https://evil.example"},
		"issuer with a slash":       {"iss": issuer + "/"},
		"issuer in capitals":        {"iss": strings.ToUpper(issuer)},
		"issuer as a list":          {"iss": []string{issuer}},
		"no audience":               {"aud": nil},
		"other audience":            {"aud": "other"},
		"audience with a prefix":    {"aud": "cvv2"},
		"audience of others":        {"aud": []string{"a", "b"}},
		"empty audience":            {"aud": []string{}},
		"audience as an object":     {"aud": map[string]any{"cvv": true}},
		"no subject":                {"sub": nil},
		"empty subject":             {"sub": ""},
		"subject as a number":       {"sub": 7},
		"subject of two lines":      {"sub": "svc\nadmin"},
		"subject too long":          {"sub": strings.Repeat("s", 300)},
		"no account":                {"account_id": nil},
		"empty account":             {"account_id": ""},
		"other account":             {"account_id": "mallory"},
		"account in capitals":       {"account_id": "ACME"},
		"account with a space":      {"account_id": " acme"},
		"account with a NUL":        {"account_id": "acme\x00"},
		"account as a list":         {"account_id": []string{"acme"}},
		"account as an object":      {"account_id": map[string]any{"id": "acme"}},
		"account as a wildcard":     {"account_id": "*"},
		"account as a pattern":      {"account_id": "a%"},
		"account with a path":       {"account_id": "mallory/../acme"},
		"no scope":                  {"scope": nil},
		"empty scope":               {"scope": ""},
		"other scopes":              {"scope": "cards:register cvv:rotate cvv:schedule cvv:read cvv:verify cvv:unlock cvv:history"},
		"any account alone":         {"scope": "accounts:any"},
		"scope in capitals":         {"scope": "CVV:REVEAL"},
		"scope as a prefix":         {"scope": "cvv:reveal2"},
		"scope as a suffix":         {"scope": "xcvv:reveal"},
		"wildcard scope":            {"scope": "cvv:* * cvv: cvv"},
		"scopes with commas":        {"scope": "cvv:read,cvv:reveal"},
		"scope as an object":        {"scope": map[string]any{"cvv:reveal": true}},
		"scope as true":             {"scope": true},
		"scope in the claim scp":    {"scope": "", "scp": "cvv:reveal"},
		"scopes with null":          {"scope": nil, "scp": []any{nil, "cvv:reveal"}},
		"bound to a certificate":    {"cnf": map[string]any{"x5t#S256": "AAAA"}},
		"bound to a key (RFC 9449)": {"cnf": map[string]any{"jkt": "AAAA"}},
	}
}

// forgedTokens are tokens with the victim's claims that the issuer did not sign.
func (a *attacked) forgedTokens(t *testing.T) map[string]string {
	t.Helper()
	claims := must.Get(json.Marshal(a.claims(nil)))(t)
	unsigned := func(header string) string { return b64([]byte(header)) + "." + b64(claims) }
	hmacOf := func(header string, key []byte) string {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(unsigned(header)))
		return unsigned(header) + "." + b64(mac.Sum(nil))
	}
	stranger := jwttest.New(t, "key-RS256", "RS256")
	rsaKey := a.keys["RS256"].Private.Public().(*rsa.PublicKey)
	der := must.Get(x509.MarshalPKIXPublicKey(rsaKey))(t)
	good := a.sign(t, nil)
	parts := strings.Split(good, ".")
	other := strings.Split(a.sign(t, jwt.MapClaims{"scope": "cvv:read"}), ".")
	embedded := string(must.Get(json.Marshal(stranger.JWK()))(t))
	tokens := map[string]string{
		"signature of another token":             parts[0] + "." + parts[1] + "." + other[2],
		"payload of another token":               other[0] + "." + parts[1] + "." + other[2],
		"no signature":                           parts[0] + "." + parts[1] + ".",
		"two parts":                              parts[0] + "." + parts[1],
		"four parts":                             good + ".",
		"five parts":                             good + ".a.b",
		"empty parts":                            "..",
		"signature twice":                        good + parts[2],
		"signature cut":                          good[:len(good)-2],
		"signature padded":                       good + "==",
		"spaces inside":                          parts[0] + ". " + parts[1] + "." + parts[2],
		"two tokens":                             good[:20] + " " + good,
		"token of strangers":                     stranger.Sign(t, a.claims(nil)),
		"stranger without kid":                   stranger.Sign(t, a.claims(nil), "kid", ""),
		"stranger embeds its key":                b64([]byte(`{"alg":"RS256","kid":"key-RS256","jwk":`+embedded+`}`)) + "." + strings.SplitN(stranger.Sign(t, a.claims(nil)), ".", 2)[1],
		"unknown critical header":                b64([]byte(`{"alg":"EdDSA","kid":"key-EdDSA","crit":["x"],"x":1}`)) + "." + parts[1] + "." + parts[2],
		"too long":                               good + strings.Repeat("A", 9000),
		"JSON instead":                           `{"alg":"none"}`,
		"key of one algorithm used with another": a.keys["RS256"].Sign(t, a.claims(nil), "alg", "PS256"),
		"ES256 with an EdDSA key":                a.sign(t, nil, "alg", "ES256"),
		"kid of another key":                     a.sign(t, nil, "kid", "key-RS256"),
		"detached payload":                       b64([]byte(`{"alg":"EdDSA","kid":"key-EdDSA","b64":false,"crit":["b64"]}`)) + "." + string(claims) + "." + parts[2],
	}
	for _, header := range []string{
		`{"alg":"none"}`, `{"alg":"None"}`, `{"alg":"NONE"}`, `{"alg":""}`, `{}`, `{"alg":null}`, `{"alg":["EdDSA"]}`,
		`{"alg":"none","kid":"key-EdDSA"}`, `{"alg":"eddsa","kid":"key-EdDSA"}`, `{"alg":"EdDSA","kid":"key-EdDSA"}`,
	} {
		tokens["unsigned "+header] = unsigned(header) + "."
		tokens["unsigned, with a signature "+header] = unsigned(header) + "." + b64(make([]byte, 64))
	}
	for name, key := range map[string][]byte{
		"modulus": rsaKey.N.Bytes(), "DER": der, "empty key": {}, "kid": []byte("key-RS256"),
		"PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
	} {
		tokens["HMAC with the "+name] = hmacOf(`{"alg":"HS256","kid":"key-RS256"}`, key)
		tokens["HMAC called RS256 with the "+name] = hmacOf(`{"alg":"RS256","kid":"key-RS256"}`, key)
	}
	for name, rs := range map[string][2]*big.Int{
		"zero": {new(big.Int), new(big.Int)}, "one": {big.NewInt(1), big.NewInt(1)},
		"r zero": {new(big.Int), big.NewInt(1)}, "all ones": {allOnes(), allOnes()},
	} {
		signature := append(rs[0].FillBytes(make([]byte, 32)), rs[1].FillBytes(make([]byte, 32))...)
		tokens["ECDSA signature "+name] = unsigned(`{"alg":"ES256","kid":"key-ES256"}`) + "." + b64(signature)
	}
	for _, kid := range []string{"../key-EdDSA", "key-EdDSA\x00", "key-EdDSA' OR '1'='1", "/dev/null", "http://evil.example/k", "", strings.Repeat("k", 5000)} {
		forged := jwttest.New(t, kid, "EdDSA")
		tokens[fmt.Sprintf("kid %.20q", kid)] = forged.Sign(t, a.claims(nil))
	}
	for _, member := range []string{"jku", "x5u", "jwk", "x5c"} {
		tokens["a header with "+member] = stranger.Sign(t, a.claims(nil), member, "http://127.0.0.1:1/keys")
	}
	return tokens
}

func allOnes() *big.Int { return new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1)) }

// mutatedTokens are good tokens of which one character was changed. The last character
// of a part may hold unused bits; those must be refused as well.
func (a *attacked) mutatedTokens(t *testing.T, n int) map[string]string {
	t.Helper()
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	random := mathrand.New(mathrand.NewPCG(*attackSeed, 1))
	tokens := map[string]string{}
	for algorithm, key := range a.keys {
		good := key.Sign(t, a.claims(nil))
		for i := range n / 3 {
			at := random.IntN(len(good))
			if i == 0 {
				at = len(good) - 1
			}
			c := alphabet[random.IntN(len(alphabet))]
			if good[at] == c || good[at] == '.' {
				c = '!'
			}
			tokens[fmt.Sprintf("%s %d", algorithm, i)] = good[:at] + string(c) + good[at+1:]
		}
	}
	return tokens
}

// duplicateClaims are properly signed tokens with a member twice: which of the two
// counts differs between parsers.
func (a *attacked) duplicateClaims(t *testing.T) map[string]string {
	t.Helper()
	key := a.keys["EdDSA"]
	sign := func(header, claims string) string {
		text := b64([]byte(header)) + "." + b64([]byte(claims))
		return text + "." + b64(must.Get(key.Private.Sign(rand.Reader, []byte(text), crypto.Hash(0)))(t))
	}
	const header = `{"alg":"EdDSA","kid":"key-EdDSA"}`
	good := string(must.Get(json.Marshal(a.claims(nil)))(t))
	if status, answer := a.send("GET", a.pci+"/v1/cards/"+victimCard+"/cvv", sign(header, good), ""); status != 200 {
		t.Fatal("the signing of this test is wrong: ", status, answer)
	}
	tokens := map[string]string{
		"algorithm":     sign(`{"alg":"none","alg":"EdDSA","kid":"key-EdDSA"}`, good),
		"trailing":      sign(header, good+"{}"),
		"not an object": sign(header, "["+good+"]"),
	}
	for name, value := range map[string]string{"account_id": `"mallory"`, "scope": `"cvv:read"`, "exp": "1", "aud": `"other"`, "iss": `"x"`, "sub": `"x"`} {
		tokens[name+" first"] = sign(header, `{"`+name+`":`+value+`,`+good[1:])
		tokens[name+" last"] = sign(header, good[:len(good)-1]+`,"`+name+`":`+value+`}`)
	}
	return tokens
}
