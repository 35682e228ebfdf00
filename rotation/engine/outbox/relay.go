package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine/store"
)

// Options is what a Relay works with.
type Options struct {
	Outbox store.Outbox // required
	Sink   Sink         // required; Run does not close it
	Clock  clock.Clock  // nil: the real one
	Logger *slog.Logger // nil: none

	Batch int // events in a batch, at most; 0: 256
	Lanes int // batches in flight at the same time; 0: 4

	MinBackoff  time.Duration // delay after an event's first failure; it doubles with each one; 0: 1s
	MaxBackoff  time.Duration // longest delay of an event; 0: 10m
	MaxPause    time.Duration // longest pause of a sink that takes nothing; 0: 30s
	MaxAttempts int           // counted failures that park an event; 0: 12
	MaxHeld     int           // cards held back at the same time; with more, all wait for one of them; 0: 10,000

	Poll      time.Duration // how often to look for events that nobody told of; 0: 1s
	LeadRetry time.Duration // how often to ask for the lead while another relay has it; 0: 5s
	Grace     time.Duration // how long Run waits, when its context ends, for what is in flight, and again for its record; 0: 10s

	Observe func(Outcome) // called for every attempt, by one goroutine at a time; must not block; nil: nobody
}

// Outcome is what became of one attempt to deliver an event.
type Outcome struct {
	Event  store.Queued
	Status store.Status  // Delivered, Parked, or Waiting: it failed and will be tried again
	Err    error         // nil when delivered
	Lag    time.Duration // from the event to the attempt's end
}

// State is what a relay is doing. The zero State is one that does not lead.
type State struct {
	Leading  bool
	InFlight int       // batches with the sink
	Held     int       // cards whose next event has failed
	Down     time.Time // since when the sink takes nothing; zero: it works
	Failure  string    // the last one, while the sink is down; no secret
}

// Relay delivers the events of an outbox. Make one with New.
type Relay struct {
	o     Options
	wake  chan struct{}
	state atomic.Pointer[State]
}

// maxAfter bounds the wish of a sink that says when to try again.
const maxAfter = time.Hour

// New returns a relay, which does nothing until Run. The error says which option
// is missing or out of range.
func New(o Options) (*Relay, error) {
	switch {
	case o.Outbox == nil || o.Sink == nil:
		return nil, errors.New("outbox: Outbox and Sink are required")
	case min(o.Batch, o.Lanes, o.MaxAttempts, o.MaxHeld) < 0:
		return nil, errors.New("outbox: Batch, Lanes, MaxAttempts and MaxHeld must not be negative")
	case min(o.MinBackoff, o.MaxBackoff, o.MaxPause, o.Poll, o.LeadRetry, o.Grace) < 0:
		return nil, errors.New("outbox: durations must not be negative")
	}
	setDefault(&o.Batch, 256)
	setDefault(&o.Lanes, 4)
	setDefault(&o.MinBackoff, time.Second)
	setDefault(&o.MaxBackoff, 10*time.Minute)
	setDefault(&o.MaxPause, 30*time.Second)
	setDefault(&o.MaxAttempts, 12)
	setDefault(&o.MaxHeld, 10_000)
	setDefault(&o.Poll, time.Second)
	setDefault(&o.LeadRetry, 5*time.Second)
	setDefault(&o.Grace, 10*time.Second)
	if o.MinBackoff > min(o.MaxBackoff, o.MaxPause) {
		return nil, errors.New("outbox: MinBackoff must not be longer than MaxBackoff and MaxPause")
	}
	if o.Clock == nil {
		o.Clock = clock.New()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Observe == nil {
		o.Observe = func(Outcome) {}
	}
	r := &Relay{o: o, wake: make(chan struct{}, 1)}
	r.state.Store(&State{})
	return r, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Wake tells the relay that there is a new event. It never blocks.
func (r *Relay) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// State returns what the relay is doing.
func (r *Relay) State() State { return *r.state.Load() }

// Run leads the outbox as soon as no other relay does, and delivers, until ctx
// ends. Then it lets what is in flight finish, records it and gives up the lead.
// The error is nil, unless what was delivered could not be recorded: it will be
// delivered again. Run must not be called twice at the same time.
func (r *Relay) Run(ctx context.Context) error {
	for {
		lease := r.lead(ctx)
		if lease == nil {
			return nil
		}
		r.o.Logger.InfoContext(ctx, "the relay leads the outbox")
		err := r.serve(ctx, lease)
		lease.Release()
		r.state.Store(&State{})
		if ctx.Err() != nil {
			return err
		}
		var args []any
		if err != nil {
			args = []any{"error", err}
		}
		r.o.Logger.WarnContext(ctx, "the relay lost the lead of the outbox", args...)
		r.sleep(ctx, r.o.MinBackoff) // a lease that does not last must not keep us spinning
	}
}

// lead waits for the lease; nil: ctx has ended.
func (r *Relay) lead(ctx context.Context) store.Lease {
	for ctx.Err() == nil {
		lease, err := r.o.Outbox.Lead(ctx)
		if err == nil {
			return lease
		}
		if !errors.Is(err, store.ErrLeading) && ctx.Err() == nil {
			r.o.Logger.WarnContext(ctx, "asking for the lead of the outbox failed", "error", err)
		}
		r.sleep(ctx, r.o.LeadRetry)
	}
	return nil
}

func (r *Relay) sleep(ctx context.Context, d time.Duration) {
	timer := r.o.Clock.Timer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// backoff returns the delay after the n-th failure in a row, from 1: it doubles
// up to longest, and is shortened by up to a half at random, so that what failed
// together does not come back together.
func (r *Relay) backoff(n int, longest time.Duration) time.Duration {
	d := longest
	if n = max(n, 1); n <= 32 && r.o.MinBackoff<<(n-1)>>(n-1) == r.o.MinBackoff {
		d = min(r.o.MinBackoff<<(n-1), longest)
	}
	return d - rand.N(d/2+1)
}

// reason returns what is stored of a failure: one short line.
func reason(err error) string {
	s := fmt.Sprintf("%.300s", err)
	line := []rune(s)
	for i, c := range line {
		if c < ' ' || c == '\uFFFD' {
			line[i] = ' '
		}
	}
	return string(line)
}
