package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/MicahParks/jwkset"

	"cvvrotation/rotation/service/internal/loopback"
)

const maxKeySet = 1 << 20 // bytes

// loader returns a function that loads a key set from a URL or a file.
func loader(from string, client *http.Client) (func(context.Context) ([]byte, error), error) {
	if from == "" {
		return nil, fmt.Errorf("%w: jwks is required: an https URL or the path of a file", ErrConfig)
	}
	if !strings.Contains(from, "://") {
		return func(context.Context) ([]byte, error) { return readFile(from) }, nil
	}
	u, err := url.Parse(from)
	switch {
	case err != nil: // its text quotes the URL
		return nil, fmt.Errorf("%w: jwks is neither a URL nor the path of a file", ErrConfig)
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback.IsHost(u.Hostname())):
		return nil, fmt.Errorf("%w: jwks must be an https URL: an attacker who can change the key set can forge tokens", ErrConfig)
	case u.Host == "":
		return nil, fmt.Errorf("%w: jwks has no host", ErrConfig)
	}
	own := http.Client{Timeout: 5 * time.Second}
	if client != nil {
		own = *client
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return func(ctx context.Context) ([]byte, error) { return get(ctx, &own, from) }, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f)
}

func get(ctx context.Context, client *http.Client, from string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, errors.New("the key set's URL is invalid") // err quotes the URL
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := client.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // without the URL, which may hold a password
		}
		return nil, fmt.Errorf("requesting the key set: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("requesting the key set: status %d, want 200", resp.StatusCode)
	}
	return readAll(resp.Body)
}

func readAll(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxKeySet+1))
	if err != nil {
		return nil, fmt.Errorf("reading the key set: %w", err)
	}
	if len(b) > maxKeySet {
		return nil, fmt.Errorf("the key set is longer than %d bytes", maxKeySet)
	}
	return b, nil
}

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
