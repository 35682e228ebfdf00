package outbox_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"cvvrotation/internal/must"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/jsonl"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/seal"
)

// TestEngineToJSONLines_InOrderAndImmediately runs engine, store, relay and
// sink for a day, and reads each line back.
func TestEngineToJSONLines_InOrderAndImmediately(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		var lines bytes.Buffer
		sink := must.Get(jsonl.New(&lines))(t)
		relay, stop := start(t, s, sink, outbox.Options{Poll: time.Hour, Observe: func(o outbox.Outcome) {
			if o.Err != nil || o.Lag > time.Second {
				t.Errorf("%s: %v, after %v", o.Event.ID(), o.Err, o.Lag)
			}
		}})
		keys := must.Get(seal.NewKeyring(seal.NewKey(1, bytes.Repeat([]byte{7}, seal.KeySize))))(t)
		e := must.Get(engine.New(s, engine.Random(nil, keys), engine.Options{Written: relay.Wake}))(t)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- e.Run(ctx) }()
		for i := range 5 {
			ref := engine.Ref{Card: fmt.Sprintf("card-%d", i), Account: "acme"}
			schedule := engine.IntervalRequest{Interval: time.Duration(i+1) * time.Hour}
			if _, _, err := e.Register(ctx, ref, engine.RegisterRequest{Schedule: schedule}); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			time.Sleep(8*time.Hour + time.Second)
			must.Get(e.Force(ctx, engine.AnyAccount("card-0"), engine.ForceRequest{Compromised: true}))(t)
		}
		must.Get(e.Disable(ctx, engine.AnyAccount("card-1")))(t)
		cancel()
		<-done
		synctest.Wait()
		must.Do(t, stop())

		last := map[string]event.Changed{}
		forced, n := 0, 0
		for line := range bytes.Lines(lines.Bytes()) {
			n++
			c, err := event.ParseStrict(line)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			before, ok := last[c.Card]
			if c.Number != before.Number+1 || c.At.Before(before.At) {
				t.Errorf("%s comes after number %d", line, before.Number)
			}
			if ok && c.Version-before.Version != map[bool]int64{true: 1}[c.Operation == event.OperationRotate] {
				t.Errorf("%s comes after version %d", line, before.Version)
			}
			if c.Compromised && !c.Automatic {
				forced++
			}
			last[c.Card] = c
		}
		if n != len(s.Written(0)) || n < 5+24+12+8+6+4 || forced != 3 || last["card-1"].Operation != event.OperationDeleteInterval {
			t.Errorf("%d lines for %d events, %d of them forced; last of card-1 %+v", n, len(s.Written(0)), forced, last["card-1"])
		}
	})
}
