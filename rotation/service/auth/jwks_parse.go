package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/MicahParks/jwkset"
)

const (
	maxKeys   = 64   // usable keys in a set, because a token without a kid is tried against all
	minRSA    = 2048 // bits
	maxListed = 16   // skipped entries that the log names one by one
)

var errNoKeys = errors.New("the key set has no usable key")

// publicKey is a key that can verify a signature.
type publicKey struct {
	id        string // kid; may be empty, and shared by several keys
	algorithm string // the only one that the key may be used with; empty: any that fits its type
	key       crypto.PublicKey
}

// parsedSet is a key set whose entries were decoded one by one.
type parsedSet struct {
	keys    []publicKey
	skipped map[skipReason]int
	listed  []string // the first skipped entries, for the log
}

// skipReason says why an entry of a key set is not used. It is a metric's label.
type skipReason string

const (
	skipMalformed   skipReason = "malformed"
	skipPrivate     skipReason = "private"
	skipSymmetric   skipReason = "symmetric"
	skipPurpose     skipReason = "purpose"
	skipUnsupported skipReason = "unsupported"
	skipInvalid     skipReason = "invalid"
	skipWeak        skipReason = "weak"
)

var skipSentences = map[skipReason]string{
	skipMalformed:   "not a JSON object, or a member has the wrong type or occurs twice",
	skipPrivate:     "private key (it is compromised: replace it)",
	skipSymmetric:   "symmetric key",
	skipPurpose:     "not for verifying signatures (use, key_ops)",
	skipUnsupported: "unsupported key type, curve or algorithm",
	skipInvalid:     "not a key of its type",
	skipWeak:        fmt.Sprintf("RSA key shorter than %d bits", minRSA),
}

// CheckKeySet reports whether the file holds a usable key set: a JSON Web Key Set
// with at least one key that can verify a signature.
func CheckKeySet(path string) error {
	raw, err := readFile(path)
	if err != nil {
		return err
	}
	_, err = parseKeys(raw)
	return err
}

// parseKeys returns the keys of a set that can verify a signature. It skips and
// counts other entries, because issuers publish keys of other types and uses
// (RFC 7517, section 5). It returns an error if no key is left.
func parseKeys(raw []byte) (set parsedSet, err error) {
	var members map[string]json.RawMessage // a map, because a struct would also accept Keys
	var list []json.RawMessage
	if json.Unmarshal(raw, &members) != nil || json.Unmarshal(members["keys"], &list) != nil {
		return parsedSet{}, errors.New("not a JSON Web Key Set")
	}
	set.skipped = map[skipReason]int{}
	for i, entry := range list {
		key, reason := parseKey(entry)
		if reason == "" {
			set.keys = append(set.keys, key)
			continue
		}
		set.skipped[reason]++
		if len(set.listed) < maxListed {
			set.listed = append(set.listed, fmt.Sprintf("keys[%d]: %s", i, skipSentences[reason]))
		}
	}
	switch {
	case len(list) == 0:
		return parsedSet{}, fmt.Errorf("%w: it is empty", errNoKeys)
	case len(set.keys) == 0:
		return parsedSet{}, fmt.Errorf("%w: all of its %d entries were skipped: %q", errNoKeys, len(list), set.listed)
	case len(set.keys) > maxKeys:
		return parsedSet{}, fmt.Errorf("the key set has %d usable keys, more than %d", len(set.keys), maxKeys)
	}
	return set, nil
}

// parseKey returns the key of an entry, or why it is skipped. Members that are not
// needed to verify a signature, such as x5c and x5t, are not read.
func parseKey(entry json.RawMessage) (publicKey, skipReason) {
	members, ok := objectOf(entry)
	if !ok {
		return publicKey{}, skipMalformed
	}
	if members.hasAny("d", "p", "q", "dp", "dq", "qi", "oth") {
		return publicKey{}, skipPrivate
	}
	m := jwkset.JWKMarshal{
		KTY: jwkset.KTY(members.text("kty")), CRV: jwkset.CRV(members.text("crv")), KID: members.text("kid"),
		X: members.text("x"), Y: members.text("y"), N: members.text("n"), E: members.text("e"),
	}
	use, algorithm, operations := members.text("use"), members.text("alg"), members.texts("key_ops")
	known := slices.Contains([]string{"EC P-256", "EC P-384", "EC P-521", "OKP Ed25519", "RSA "}, string(m.KTY)+" "+string(m.CRV))
	switch {
	case m.KTY == jwkset.KtyOct || members.hasAny("k"):
		return publicKey{}, skipSymmetric
	case members.wrong:
		return publicKey{}, skipMalformed
	case !forVerifying(use, operations):
		return publicKey{}, skipPurpose
	case !known, algorithm != "" && !slices.Contains(algorithms, algorithm):
		return publicKey{}, skipUnsupported
	}
	parsed, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil {
		return publicKey{}, skipInvalid
	}
	if r, ok := parsed.Key().(*rsa.PublicKey); ok && r.N.BitLen() < minRSA {
		return publicKey{}, skipWeak
	}
	return publicKey{m.KID, algorithm, parsed.Key()}, ""
}

// forVerifying reports whether a key may verify signatures. Both members are
// optional, must not contradict each other, and list no operation twice (RFC 7517,
// section 4.3).
func forVerifying(use string, operations []string) bool {
	if operations == nil {
		return use == "" || use == "sig"
	}
	verifies := slices.Contains(operations, "verify")
	other := slices.ContainsFunc(operations, func(o string) bool { return o != "verify" && o != "sign" })
	slices.Sort(operations)
	twice := len(slices.Compact(operations)) < len(operations)
	return verifies && !twice && (use == "" || use == "sig" && !other)
}

// fits reports whether the key may verify a signature of the algorithm.
func (k publicKey) fits(algorithm string) bool {
	if k.algorithm != "" && k.algorithm != algorithm {
		return false
	}
	switch public := k.key.(type) {
	case *rsa.PublicKey:
		return algorithm[:2] == "RS" || algorithm[:2] == "PS"
	case *ecdsa.PublicKey:
		return algorithm == map[int]string{256: "ES256", 384: "ES384", 521: "ES512"}[public.Curve.Params().BitSize]
	case ed25519.PublicKey:
		return algorithm == "EdDSA"
	}
	return false
}
