package service_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/engine/store"
)

var threePM = time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)

// keyring returns a keyring of one test key.
func keyring(t testing.TB) *seal.Keyring {
	t.Helper()
	r, err := seal.NewKeyring(seal.NewKey(1, bytes.Repeat([]byte{1}, seal.KeySize)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

type sinkFunc func(context.Context, []store.Queued) []error

func (f sinkFunc) Deliver(ctx context.Context, events []store.Queued) []error { return f(ctx, events) }

func (f sinkFunc) Close() error { return nil }
