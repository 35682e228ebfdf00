package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/MicahParks/jwkset"
)

const (
	maxKeys = 64   // in a set, because a token without a kid is tried against all
	minRSA  = 2048 // bits
)

var errNoKeys = errors.New("the key set has no usable key")

// CheckKeySet reports whether the file holds a usable key set: a JSON Web Key Set
// with at least one key that can verify a signature.
func CheckKeySet(path string) error {
	raw, err := readFile(path)
	if err != nil {
		return err
	}
	_, _, err = parseKeys(raw)
	return err
}

// parseKeys returns the keys of a set that can verify a signature, and why it
// skipped the others.
func parseKeys(raw []byte) (keys []jwkset.JWK, skipped []string, err error) {
	var set jwkset.JWKSMarshal
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, nil, errors.New("not a JSON Web Key Set")
	}
	if len(set.Keys) > maxKeys {
		return nil, nil, fmt.Errorf("the key set has %d keys, more than %d", len(set.Keys), maxKeys)
	}
	for _, m := range set.Keys {
		key, reason := parseKey(m)
		if reason != "" {
			skipped = append(skipped, reason)
			continue
		}
		keys = append(keys, key)
	}
	switch {
	case len(set.Keys) == 0:
		return nil, nil, fmt.Errorf("%w: it is empty", errNoKeys)
	case len(keys) == 0:
		return nil, nil, fmt.Errorf("%w: all of its %d keys were skipped: %q", errNoKeys, len(set.Keys), skipped)
	}
	return keys, skipped, nil
}

// parseKey returns a key, or why it cannot be used.
func parseKey(m jwkset.JWKMarshal) (jwkset.JWK, string) {
	switch {
	case m.D != "":
		return jwkset.JWK{}, "private key (it is compromised: replace it)"
	case m.USE != "" && m.USE != jwkset.UseSig:
		return jwkset.JWK{}, "not for signatures"
	}
	// Symmetric keys (k) and certificates (x5c, x5u) are not copied: jwkset would
	// fetch an x5u.
	key, err := jwkset.NewJWKFromMarshal(jwkset.JWKMarshal{
		KTY: m.KTY, USE: m.USE, ALG: m.ALG, KID: m.KID, CRV: m.CRV, X: m.X, Y: m.Y, N: m.N, E: m.E,
	}, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil {
		return jwkset.JWK{}, "malformed, symmetric, or of an unknown type"
	}
	switch public := key.Key().(type) {
	case *rsa.PublicKey:
		if public.N.BitLen() < minRSA {
			return jwkset.JWK{}, fmt.Sprintf("RSA key shorter than %d bits", minRSA)
		}
	case *ecdsa.PublicKey, ed25519.PublicKey:
	default:
		return jwkset.JWK{}, "not for signatures"
	}
	return key, ""
}
