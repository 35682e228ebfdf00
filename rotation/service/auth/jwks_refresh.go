package auth

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/benbjohnson/clock"
)

const (
	loadTimeout = 5 * time.Second
	maxWaiting  = 1000 // requests that wait for a refresh at the same time
)

// keySet holds the issuer's public keys and refreshes them. find, which looks up
// a token's key, asks for a refresh if the key is unknown.
type keySet struct {
	load       func(context.Context) ([]byte, error)
	clock      clock.Clock
	log        *slog.Logger
	refresh    time.Duration
	minRefresh time.Duration
	wait       time.Duration // for a refresh; 0: unknown keys ask for none

	keys       atomic.Pointer[[]publicKey] // of the current set
	counts     atomic.Pointer[map[string]int]
	generation atomic.Int64 // incremented whenever the keys change
	loaded     atomic.Int64 // time of the last successful refresh, in Unix nanoseconds; 0: none
	waiting    atomic.Int32
	asked      chan struct{} // holds a value if a refresh is wanted

	mu   sync.Mutex
	next chan struct{} // closed at the end of the next refresh to start; nil: no request waits
	last []byte        // the last key set loaded; used by run only
}

func newKeySet(load func(context.Context) ([]byte, error), o Options) *keySet {
	k := &keySet{
		load: load, clock: o.Clock, log: o.Logger,
		refresh: o.Refresh, minRefresh: o.MinRefresh, wait: o.RefreshWait,
		asked: make(chan struct{}, 1),
	}
	k.keys.Store(&[]publicKey{})
	k.counts.Store(&map[string]int{})
	return k
}

// ask asks for a refresh. It returns a channel that is closed when it has ended.
func (k *keySet) ask() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.next == nil {
		k.next = make(chan struct{})
	}
	select {
	case k.asked <- struct{}{}:
	default: // asked already
	}
	return k.next
}

// run refreshes the keys now, then every k.refresh and when asked, until ctx ends.
// After a failure it tries again after a delay that doubles up to k.refresh.
func (k *keySet) run(ctx context.Context) {
	retry := k.minRefresh
	for ctx.Err() == nil {
		wait := k.refresh - k.minRefresh
		err := k.update(ctx)
		if err != nil {
			retry = min(2*retry, k.refresh)
			wait = retry - k.minRefresh
			message := "JWKS refresh failed; keeping the previous key set"
			if k.loaded.Load() == 0 {
				message = "JWKS refresh failed; no key set was loaded yet, so all tokens are rejected"
			}
			k.log.ErrorContext(ctx, message, "retry_in", retry, "error", err)
		} else {
			retry = k.minRefresh
		}
		k.sleep(ctx, k.minRefresh, nil)
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

// update refreshes the keys once.
func (k *keySet) update(ctx context.Context) error {
	k.mu.Lock()
	done := k.next
	k.next = nil
	select {
	case <-k.asked: // this refresh serves it
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
		set, err := parseKeys(raw)
		if err != nil {
			return err
		}
		k.replace(ctx, set)
		k.last = raw
	}
	k.loaded.Store(k.clock.Now().UnixNano())
	return nil
}

// replace uses the set from now on. It logs and counts the entries that were
// skipped.
func (k *keySet) replace(ctx context.Context, set parsedSet) {
	counts, skipped := map[string]int{"used": len(set.keys)}, 0
	for reason := range skipSentences {
		counts[string(reason)] = set.skipped[reason]
		skipped += set.skipped[reason]
	}
	k.keys.Store(&set.keys)
	k.counts.Store(&counts)
	k.generation.Add(1)
	args := []any{"keys", len(set.keys)}
	if skipped > 0 {
		args = append(args, "skipped", skipped, "skipped_entries", set.listed)
	}
	k.log.InfoContext(ctx, "JWKS loaded", args...)
}
