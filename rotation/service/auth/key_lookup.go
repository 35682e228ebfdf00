package auth

import (
	"context"

	"github.com/golang-jwt/jwt/v5"
)

// find returns the keys that may have signed the token: those with its kid, or all
// if it has none, that fit its algorithm. Issuers may use one kid for several keys,
// as equivalent alternatives (RFC 7517, section 4.5). If no key has the kid, find
// asks for a refresh and waits for it, up to k.wait.
func (k *keySet) find(ctx context.Context, t *jwt.Token) (any, error) {
	algorithm := t.Method.Alg()
	value, named := t.Header["kid"]
	id, ok := value.(string)
	if named && !ok {
		return nil, ErrKey
	}
	if named && !k.has(id) {
		if err := k.await(ctx); err != nil {
			return nil, err
		}
	}
	var fitting jwt.VerificationKeySet
	for _, key := range *k.keys.Load() {
		if (!named || key.id == id) && key.fits(algorithm) {
			fitting.Keys = append(fitting.Keys, key.key)
		}
	}
	if len(fitting.Keys) == 0 {
		return nil, ErrKey
	}
	return fitting, nil
}

func (k *keySet) has(id string) bool {
	for _, key := range *k.keys.Load() {
		if key.id == id {
			return true
		}
	}
	return false
}

// await asks for a refresh and waits for it, up to k.wait. It does not wait if too
// many requests wait already. The error is ctx.Err().
func (k *keySet) await(ctx context.Context) error {
	if k.wait == 0 {
		return nil
	}
	defer k.waiting.Add(-1)
	if k.waiting.Add(1) > maxWaiting {
		return nil
	}
	timer := k.clock.Timer(k.wait)
	defer timer.Stop()
	select {
	case <-k.ask():
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}
