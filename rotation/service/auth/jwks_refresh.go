package auth

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/benbjohnson/clock"
)

const (
	loadTimeout = 5 * time.Second
	maxKeys     = 64   // in a set; a token without a kid is tried against all
	maxWaiting  = 1000 // callers that wait for a load at the same time
	minRSA      = 2048 // bits
)

// errNoKeys is for a key set without a key that can be used.
var errNoKeys = errors.New("no usable key in the key set")

// keySet is the issuer's public keys, loaded again and again. It is a
// jwkset.Storage whose KeyRead asks for a load when a key is unknown.
type keySet struct {
	jwkset.Storage
	load     func(context.Context) ([]byte, error)
	clock    clock.Clock
	log      *slog.Logger
	refresh  time.Duration
	gap      time.Duration
	patience time.Duration

	generation atomic.Int64 // one more whenever the keys have changed
	loaded     atomic.Int64 // when the last load succeeded, in Unix nanoseconds; 0: never
	waiting    atomic.Int32
	asked      chan struct{} // a load is wanted

	mu   sync.Mutex
	next chan struct{} // closed when the next load to begin has ended; nil: nobody waits for it
	last []byte        // what was loaded last; used by run alone
}

func newKeySet(c Config, load func(context.Context) ([]byte, error)) *keySet {
	return &keySet{
		Storage: jwkset.NewMemoryStorage(), load: load, clock: c.Clock, log: c.Logger,
		refresh: c.Refresh, gap: c.MinRefresh, patience: c.Patience,
		asked: make(chan struct{}, 1),
	}
}

// KeyRead returns the key with the id. When there is none it waits for the next
// load, but not for long.
func (k *keySet) KeyRead(ctx context.Context, id string) (jwkset.JWK, error) {
	key, err := k.Storage.KeyRead(ctx, id)
	if !errors.Is(err, jwkset.ErrKeyNotFound) || k.patience == 0 {
		return key, err
	}
	if k.waiting.Add(1) > maxWaiting {
		k.waiting.Add(-1)
		return jwkset.JWK{}, jwkset.ErrKeyNotFound
	}
	defer k.waiting.Add(-1)
	timer := k.clock.Timer(k.patience)
	defer timer.Stop()
	select {
	case <-k.ask():
		return k.Storage.KeyRead(ctx, id)
	case <-timer.C:
		return jwkset.JWK{}, jwkset.ErrKeyNotFound
	case <-ctx.Done():
		return jwkset.JWK{}, ctx.Err()
	}
}

// ask asks for a load and returns what is closed when it has ended.
func (k *keySet) ask() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.next == nil {
		k.next = make(chan struct{})
	}
	select {
	case k.asked <- struct{}{}:
	default: // it is wanted already
	}
	return k.next
}

// run loads now, then every refresh, and when asked, until ctx ends. After a
// failure it tries again after a gap that doubles.
func (k *keySet) run(ctx context.Context) {
	gap := k.gap
	for ctx.Err() == nil {
		wait := k.refresh - k.gap
		err := k.update(ctx)
		if err != nil {
			gap = min(2*gap, k.refresh)
			wait = gap - k.gap
			k.log.ErrorContext(ctx, "loading the keys of tokens failed; those loaded before stay", "again_in", gap, "error", err)
		} else {
			gap = k.gap
		}
		k.sleep(ctx, k.gap, nil)
		k.sleep(ctx, wait, k.asked)
	}
}

func (k *keySet) sleep(ctx context.Context, d time.Duration, until <-chan struct{}) {
	if d <= 0 {
		return
	}
	timer := k.clock.Timer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-until:
	}
}

// update loads the keys once.
func (k *keySet) update(ctx context.Context) error {
	k.mu.Lock()
	done := k.next
	k.next = nil
	select {
	case <-k.asked: // that is this load
	default:
	}
	k.mu.Unlock()
	if done != nil {
		defer close(done)
	}

	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	raw, err := k.load(ctx)
	if err != nil {
		return err
	}
	if !bytes.Equal(raw, k.last) || k.last == nil {
		keys, skipped, err := parseKeys(raw)
		if err != nil {
			return err
		}
		if err := k.KeyReplaceAll(ctx, keys); err != nil {
			return err
		}
		k.generation.Add(1)
		k.last = raw
		args := []any{"keys", len(keys)}
		if len(skipped) > 0 {
			args = append(args, "skipped", skipped)
		}
		k.log.InfoContext(ctx, "keys of tokens loaded", args...)
	}
	k.loaded.Store(k.clock.Now().UnixNano())
	return nil
}

// CheckKeySet reads a file and reports whether a [Verifier] could use it: a JSON
// Web Key Set with at least one key that can verify a signature. The error says
// what is wrong.
func CheckKeySet(path string) error {
	raw, err := readFile(path)
	if err != nil {
		return err
	}
	_, _, err = parseKeys(raw)
	return err
}

// parseKeys returns the keys of a set that can verify a signature, and what the
// others were skipped for.
func parseKeys(raw []byte) (keys []jwkset.JWK, skipped []string, err error) {
	var set jwkset.JWKSMarshal
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, nil, errors.New("what was loaded is no JSON Web Key Set")
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
		return nil, nil, fmt.Errorf("%w: of its %d keys, skipped for %q", errNoKeys, len(set.Keys), skipped)
	}
	return keys, skipped, nil
}

// parseKey returns a key, or why it can't be used.
func parseKey(m jwkset.JWKMarshal) (jwkset.JWK, string) {
	switch {
	case m.D != "":
		return jwkset.JWK{}, "a private key, which everybody may know now"
	case m.USE != "" && m.USE != jwkset.UseSig:
		return jwkset.JWK{}, "not for signatures"
	}
	// Symmetric keys (k) and certificates (x5c, x5u) are left out: an x5u would
	// be fetched.
	key, err := jwkset.NewJWKFromMarshal(jwkset.JWKMarshal{
		KTY: m.KTY, USE: m.USE, ALG: m.ALG, KID: m.KID, CRV: m.CRV, X: m.X, Y: m.Y, N: m.N, E: m.E,
	}, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil {
		return jwkset.JWK{}, "broken, symmetric, or of an unknown type"
	}
	switch public := key.Key().(type) {
	case *rsa.PublicKey:
		if public.N.BitLen() < minRSA {
			return jwkset.JWK{}, fmt.Sprintf("RSA with less than %d bits", minRSA)
		}
	case *ecdsa.PublicKey, ed25519.PublicKey:
	default:
		return jwkset.JWK{}, "not for signatures"
	}
	return key, ""
}
