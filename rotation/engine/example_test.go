package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/cvvgen"
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
	e, err := engine.New(engine.Options{
		Store:     memory.New(clk), // sqlite.Open or postgres.Open
		Generator: engine.Random(new(cvvgen.Random), keys),
	})
	if err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	ref := engine.Ref{Card: "card-1", Account: "acme"}
	daily := engine.Registration{Schedule: engine.IntervalRequest{Interval: 24 * time.Hour}}
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
