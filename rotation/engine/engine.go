package engine

import (
	"cmp"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/internal/arguments"
)

// Options configures an Engine. Its zero value works.
type Options struct {
	// Clock measures durations and sleeps. Defaults to the store's clock if it
	// is a store.Clocked, else to the real one.
	Clock clock.Clock
	// Rules decide. The zero value has a guard of 2 minutes.
	Rules rotation.Rules
	// Grace is how long the previous CVV is still accepted after a rotation.
	// Defaults to 0: not at all.
	Grace time.Duration
	// MaxTries is the number of failed attempts in a row that locks a card.
	// Defaults to 3.
	MaxTries int
	// MaxDailyTries is the number of failed attempts within 24 hours after which a
	// card's CVVs are no longer compared, up to 1000. Defaults to 20.
	MaxDailyTries int
	// Source is the source of events, a URI reference. Defaults to
	// "/cvvrotation".
	Source string
	// Workers is the number of concurrent claims in Run. Defaults to 1.
	Workers int
	// Batch is the maximum number of cards in a claim. Defaults to 1000.
	Batch int
	// Poll is the maximum interval between claims in Run: how late Run may
	// notice a slot that another process has set. Defaults to 1s.
	Poll time.Duration
	// Sweep is the interval between sweeps in Run. Defaults to 1h.
	Sweep time.Duration
	// KeepFor is how long delivered events are kept. Defaults to 7 days.
	KeepFor time.Duration
	// Logger receives failures and repairs. Defaults to none.
	Logger *slog.Logger
	// Observer receives what the engine did, for metrics. Defaults to none.
	Observer Observer
	// Written is called after events were written, to wake a relay. It must
	// not block. Defaults to none.
	Written func()
}

// Engine applies the rules to the cards of a store. Make one with New.
type Engine struct {
	store       store.Cards
	updater     store.Updater // the store, or a transaction of the service's own
	tx          *Tx           // which then collects outcomes; nil: none
	generator   Generator
	clock       clock.Clock
	rules       rotation.Rules
	options     Options
	log         *slog.Logger
	observer    Observer
	wake        chan struct{}
	asleepUntil atomic.Int64 // by the store's time, in Unix nanoseconds; 0: Run is awake
}

// New returns an engine on the store, with CVVs of the generator. The error names
// the argument that is missing or out of range, and matches ErrInvalid.
func New(s store.Cards, g Generator, o Options) (*Engine, error) {
	switch {
	case arguments.Missing(s):
		return nil, &FieldError{"store", "is required"}
	case arguments.Missing(g):
		return nil, &FieldError{"generator", "is required"}
	case o.Grace < 0:
		return nil, &FieldError{"Grace", "must not be negative"}
	case o.MaxTries < 0:
		return nil, &FieldError{"MaxTries", "must not be negative"}
	case o.MaxDailyTries < 0 || o.MaxDailyTries > maxDailyTries:
		return nil, &FieldError{"MaxDailyTries", "must be 0 to 1000"}
	case o.Workers < 0 || o.Batch < 0:
		return nil, &FieldError{"Workers and Batch", "must not be negative"}
	case o.Poll < 0 || o.Sweep < 0 || o.KeepFor < 0:
		return nil, &FieldError{"Poll, Sweep and KeepFor", "must not be negative"}
	}
	if g, ok := g.(interface{ check() error }); ok {
		if err := g.check(); err != nil {
			return nil, err
		}
	}
	if o.Clock == nil {
		o.Clock = arguments.ClockOf(s)
	}
	if o.Observer == nil {
		o.Observer = NoObserver{}
	}
	if o.Written == nil {
		o.Written = func() {}
	}
	o.MaxTries = cmp.Or(o.MaxTries, 3)
	o.MaxDailyTries = cmp.Or(o.MaxDailyTries, 20)
	o.Workers = cmp.Or(o.Workers, 1)
	o.Batch = cmp.Or(o.Batch, 1000)
	o.Poll = cmp.Or(o.Poll, time.Second)
	o.Sweep = cmp.Or(o.Sweep, time.Hour)
	o.KeepFor = cmp.Or(o.KeepFor, 7*24*time.Hour)
	o.Source = cmp.Or(o.Source, "/cvvrotation")
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	return &Engine{
		store: s, updater: s, generator: g, clock: o.Clock, rules: o.Rules, options: o,
		log: o.Logger, observer: o.Observer, wake: make(chan struct{}, o.Workers),
	}, nil
}
