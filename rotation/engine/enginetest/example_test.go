package enginetest_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"testing"
	"testing/synctest"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/enginetest"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/seal"
)

// newEngine returns an engine for tests on a store in memory.
func newEngine(o memory.Options) *engine.Engine {
	keys, err := seal.NewKeyring(seal.NewKey(1, bytes.Repeat([]byte{7}, seal.KeySize)))
	if err != nil {
		log.Fatal(err)
	}
	e, err := engine.New(memory.New(o), engine.Random(nil, keys), engine.Options{Poll: time.Hour})
	if err != nil {
		log.Fatal(err)
	}
	return e
}

var (
	card  = engine.Ref{Card: "card-1", Account: "acme"}
	daily = engine.RegisterRequest{Schedule: engine.IntervalRequest{Interval: 24 * time.Hour}}
)

// Three days pass: a card rotates three times.
func ExampleAdvance() {
	ctx := context.Background()
	mock := clock.NewMock()
	mock.Set(time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC))
	e := newEngine(memory.Options{Clock: mock}) // engine.New(memory.New(…), …)
	if _, _, err := e.Register(ctx, card, daily); err != nil {
		log.Fatal(err)
	}
	if err := enginetest.Advance(ctx, e, mock, 72*time.Hour); err != nil {
		log.Fatal(err)
	}
	s, err := e.Show(ctx, card, 1)
	fmt.Println("version", s.Version, "next", s.Next.Format(time.DateTime), err)
	// Output:
	// version 4 next 2026-11-26 15:00:00 <nil>
}

// Inside a bubble time passes as soon as every goroutine sleeps.
func TestRun_InASynctestBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(memory.Options{}) // the bubble's time
		go e.Run(t.Context())            // until the test ends
		if _, _, err := e.Register(t.Context(), card, daily); err != nil {
			t.Fatal(err)
		}
		time.Sleep(72 * time.Hour)
		synctest.Wait() // until Run has rotated and sleeps again
		if s, err := e.Show(t.Context(), card, 1); err != nil || s.Version != 4 {
			t.Errorf("version %d, %v; want 4", s.Version, err)
		}
	})
}
