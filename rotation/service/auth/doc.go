// Package auth says who calls: it verifies bearer tokens, which are JWTs signed
// by an issuer whose public keys are published as a JSON Web Key Set (JWKS).
//
//	v, err := auth.New(auth.Config{
//		Issuer: "https://id.example", Audience: "cvv",
//		Algorithms: []string{"RS256"}, JWKS: "https://id.example/jwks.json",
//	})
//	go v.Run(ctx) // loads the keys and keeps them fresh
//	caller, err := v.Authenticate(ctx, token)
//
// # What is checked
//
// The signature, with an algorithm that the configuration names and a key of
// the key set that fits it; iss, aud, exp (required), nbf and iat; sub
// (required). Symmetric algorithms and "none" can't be configured, so that a
// public key is never taken for a secret. What a token's header says of keys
// other than by kid (jku, jwk, x5u, x5c) is not looked at, and a header with
// crit is refused.
//
// # Keys
//
// Keys are loaded again every Refresh, and when a token names a key that is not
// known: then at most once in MinRefresh, for all callers together, and a caller
// waits for that no longer than Patience. So tokens with made-up key ids neither
// keep a new key out nor the issuer busy. When loading fails, or gives nothing
// that can be used, the keys that were loaded stay.
//
// # Secrets
//
// Tokens are in no error and no log.
//
// # Concurrency
//
// Everything is safe for concurrent use.
package auth
