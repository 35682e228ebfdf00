// Package auth identifies callers by bearer tokens: JWTs signed by an issuer that
// publishes its public keys as a JSON Web Key Set (JWKS). [New] returns a [Verifier],
// whose Run loads and refreshes the key set and whose AuthenticateRequest returns the
// [Caller] of a request.
//
// # Checks
//
// A Verifier checks the signature, with a configured algorithm and a key of the key
// set that fits it; the claims iss, aud, exp (required), nbf and iat; and sub
// (required). [Claims] names others, and [Profile] those of some issuers. Symmetric
// algorithms and "none" cannot be configured, so a public key is never used as an HMAC
// secret. Key references in a token's header other than kid (jku, jwk, x5u, x5c) are
// ignored.
//
// A Verifier refuses a header with crit, a name that occurs twice, a time that is not
// whole seconds from 1970 to 2200, and a token that is bound to a key of its sender
// (cnf), because it does not check the binding. Options.MaxLifetime and
// Options.TokenType limit exp and the header typ.
//
// # Key set
//
// The entries of a key set are decoded one by one. Those that cannot verify a
// signature, because of their type, their purpose (use, key_ops) or a mistake, are
// skipped, logged and counted. Keys that share a kid are alternatives.
//
// Run refreshes the key set every Options.Refresh, and when a token names an unknown
// key: at most once per Options.MinRefresh, for all requests together. Such a request
// waits for the refresh, up to Options.RefreshWait. Tokens with invented key ids
// therefore neither delay a new key nor overload the issuer. If a refresh fails or
// returns no usable key, the previous key set stays in use.
//
// # Secrets
//
// Errors and logs never contain a token.
//
// # Concurrency
//
// All functions and methods are safe for concurrent use.
package auth
