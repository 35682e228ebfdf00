package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/seal"
)

// A card is registered, forced twice, and rotated at its slot.
func Example() {
	clk := clock.NewMock() // clock.New() in a service
	clk.Set(time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC))
	keys, err := seal.NewKeyring(seal.NewKey(1, bytes.Repeat([]byte{7}, seal.KeySize))) // from a file or a KMS
	if err != nil {
		log.Fatal(err)
	}
	e, err := engine.New(memory.New(memory.Options{Clock: clk}), engine.Random(nil, keys), engine.Options{}) // sqlite.Open or postgres.Open
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	ref := engine.Ref{Card: "card-1", Account: "acme"}
	daily := engine.RegisterRequest{Schedule: engine.IntervalRequest{Interval: 24 * time.Hour}}
	if _, _, err := e.Register(ctx, ref, daily); err != nil {
		log.Fatal(err)
	}
	for range 2 {
		clk.Set(time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC))
		r, err := e.Force(ctx, ref, engine.ForceRequest{})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("version", r.Version, r.Reason, "next", r.Next.Format(time.DateTime))
	}
	clk.Set(time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC))
	n, err := e.Tick(ctx) // Run does it when it is time
	fmt.Println("claimed", n, err)
	s, err := e.Show(ctx, ref, 1)
	fmt.Println("version", s.Version, "next", s.Next.Format(time.DateTime), err)
	// Output:
	// version 2 scheduled next 2026-11-23 15:00:00
	// version 3 guard next 2026-11-23 15:00:00
	// claimed 1 <nil>
	// version 4 next 2026-11-24 15:00:00 <nil>
}

// A service runs an engine and calls its operations.
func Example_service() {
	keys, err := seal.NewKeyring(seal.NewKey(1, bytes.Repeat([]byte{7}, seal.KeySize))) // from a file or a KMS
	if err != nil {
		log.Fatal(err)
	}
	e, err := engine.New(memory.New(memory.Options{}), engine.Random(nil, keys), engine.Options{})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go e.Run(ctx)

	card := engine.Ref{Card: "card-1", Account: "acme"}
	daily := engine.RegisterRequest{Schedule: engine.IntervalRequest{Interval: 24 * time.Hour}}
	if _, _, err := e.Register(ctx, card, daily); err != nil {
		log.Fatal(err)
	}
	r, err := e.Force(ctx, card, engine.ForceRequest{Key: "7c1e"})
	fmt.Println("version", r.Version, "rotated", r.Rotated, err)
	// Output: version 2 rotated true <nil>
}
