package outbox

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/internal/arguments"
)

// Options are the settings of a Relay. The zero value is ready to use.
type Options struct {
	// Clock measures durations and sleeps. Defaults to the outbox's clock if
	// it is a store.Clocked, else to the real one.
	Clock  clock.Clock
	Logger *slog.Logger // Defaults to none.

	// Batch is the maximum number of events in a batch. Defaults to 256.
	Batch int
	// MaxInFlight is the maximum number of batches in flight at the same
	// time. Defaults to 4.
	MaxInFlight int

	// MinBackoff is the delay after an event's first failure. It doubles with
	// each further one. Defaults to 1s.
	MinBackoff time.Duration
	// MaxBackoff is the maximum delay between two attempts of an event.
	// Defaults to 10m.
	MaxBackoff time.Duration
	// MaxPause is the maximum pause between two probes of a sink that is
	// down, unless the sink asks for a longer one, and between two attempts
	// to reach a store that fails. Defaults to 5s, or MinBackoff if that is
	// longer.
	MaxPause time.Duration
	// MaxAttempts is the number of counted attempts after which an event is
	// dead-lettered. Defaults to 12.
	MaxAttempts int
	// MaxBlocked is the maximum number of cards that wait for a retry. At the
	// maximum, all cards wait until one of them is due. Defaults to 10,000.
	MaxBlocked int

	// Poll is the interval at which the relay looks for events that no Wake
	// announced. Defaults to 1s.
	Poll time.Duration
	// LeaseRetry is the interval at which the relay asks for the outbox lease
	// while another one holds it, and the maximum interval while the store
	// fails. Defaults to 5s.
	LeaseRetry time.Duration
	// Grace is how long Run waits, after its context has ended, for batches in
	// flight, and again for their acknowledgement. Defaults to 10s.
	Grace time.Duration

	// Observe is called with the outcome of every attempt, never by two
	// goroutines at the same time. It must not block. Defaults to none.
	Observe func(Outcome)
}

// Outcome is the result of one attempt to deliver an event.
type Outcome struct {
	Event  store.Queued
	Status store.Status  // Delivered, Parked (dead-lettered), or Waiting: it failed and will be retried
	Err    error         // nil if delivered
	Lag    time.Duration // from the event's At to the end of the attempt
}

// State is what a relay is doing. The zero State is that of a relay without the
// outbox lease.
type State struct {
	HasLease bool      // the relay holds the outbox lease
	InFlight int       // batches that the sink is delivering
	Blocked  int       // cards whose next event has failed
	Down     time.Time // since when the sink accepts nothing; zero: it is up
	Failure  string    // the sink's latest failure while it is down; no secret
}

// Relay delivers the events of an outbox. Make one with New.
type Relay struct {
	events store.Outbox
	sink   Sink
	o      Options
	wake   chan struct{}
	retry  chan struct{} // RetryNow was called
	state  atomic.Pointer[State]
}

// New returns a relay that delivers events to a sink once Run is called. Run does
// not close the sink. The error names the argument that is missing or the option
// that is out of range.
func New(events store.Outbox, sink Sink, o Options) (*Relay, error) {
	switch {
	case arguments.Missing(events) || arguments.Missing(sink):
		return nil, errors.New("outbox: an outbox and a sink are required")
	case min(o.Batch, o.MaxInFlight, o.MaxAttempts, o.MaxBlocked) < 0:
		return nil, errors.New("outbox: Batch, MaxInFlight, MaxAttempts and MaxBlocked must not be negative")
	case min(o.MinBackoff, o.MaxBackoff, o.MaxPause, o.Poll, o.LeaseRetry, o.Grace) < 0:
		return nil, errors.New("outbox: durations must not be negative")
	}
	o.Batch = cmp.Or(o.Batch, 256)
	o.MaxInFlight = cmp.Or(o.MaxInFlight, 4)
	o.MinBackoff = cmp.Or(o.MinBackoff, time.Second)
	o.MaxBackoff = cmp.Or(o.MaxBackoff, 10*time.Minute)
	o.MaxPause = cmp.Or(o.MaxPause, max(5*time.Second, o.MinBackoff))
	o.MaxAttempts = cmp.Or(o.MaxAttempts, 12)
	o.MaxBlocked = cmp.Or(o.MaxBlocked, 10_000)
	o.Poll = cmp.Or(o.Poll, time.Second)
	o.LeaseRetry = cmp.Or(o.LeaseRetry, 5*time.Second)
	o.Grace = cmp.Or(o.Grace, 10*time.Second)
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	if o.MinBackoff > min(o.MaxBackoff, o.MaxPause) {
		return nil, errors.New("outbox: MinBackoff must not be longer than MaxBackoff and MaxPause")
	}
	if o.Clock == nil {
		o.Clock = arguments.ClockOf(events)
	}
	if o.Observe == nil {
		o.Observe = func(Outcome) {}
	}
	r := &Relay{events: events, sink: sink, o: o, wake: make(chan struct{}, 1), retry: make(chan struct{}, 1)}
	r.state.Store(&State{})
	return r, nil
}

// Wake announces a new event. It never blocks.
func (r *Relay) Wake() { signal(r.wake) }

// RetryNow ends a pause of Run after failures of the store. Call it when the store is
// available again. It never blocks, and does not end the pause of a sink that is down.
func (r *Relay) RetryNow() { signal(r.retry) }

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // it was given already
	}
}

// State returns what the relay is doing.
func (r *Relay) State() State { return *r.state.Load() }

// Run acquires the outbox lease and delivers events until ctx ends. Then it waits
// for the batches in flight, acknowledges them and releases the lease. It returns
// an error if deliveries could not be acknowledged: they will be repeated. Run
// must not be called twice at the same time.
func (r *Relay) Run(ctx context.Context) error {
	for {
		lease := r.acquireLease(ctx)
		if lease == nil {
			return nil
		}
		r.o.Logger.InfoContext(ctx, "outbox lease acquired; this replica delivers events")
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
		r.o.Logger.WarnContext(ctx, "outbox lease lost; trying to acquire it again", args...)
		r.sleep(ctx, r.o.MinBackoff) // do not spin if each lease is lost at once
	}
}

// sleep sleeps until the time is over, RetryNow is called or ctx ends.
func (r *Relay) sleep(ctx context.Context, d time.Duration) {
	timer := r.o.Clock.Timer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.retry:
	case <-ctx.Done():
	}
}
