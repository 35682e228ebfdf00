// Package engine rotates the CVVs of stored cards by the rules of package
// rotation: at once when somebody forces it, and on schedule.
//
// It takes a clock, a store and a generator of CVVs. Each operation is one
// transaction that decides, draws, updates the card and writes the event, or
// does nothing. Automatic rotations are claimed from the store's index of due
// cards by [Engine.Run], in as many processes as share the store.
//
//	e, err := engine.New(engine.Options{
//		Store:     memory.New(clock.New()),
//		Generator: engine.Random(new(cvvgen.Random), keyring),
//	})
//	go e.Run(ctx)
//	e.Register(ctx, ref, engine.Registration{Interval: 24 * time.Hour})
//	e.Force(ctx, ref, engine.ForceRequest{Key: "7c1e"})
//
// # Time
//
// Decisions are made at the store's time (store.Store.Now), which is the
// database's where several processes share one. The clock in Options only
// tells how long to sleep.
//
// # Secrets
//
// Nothing that is stored, logged, answered or told to an [Observer] holds a CVV
// or a PAN in the clear, except the answer of [Engine.Reveal]. A panic, of a
// Generator say, becomes an error: what it was panicked with could be printed.
// The log has where it was.
//
// # Concurrency
//
// An Engine is safe for concurrent use, and so is any number of them on one store.
package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine/store"
)

var (
	// ErrForbidden is for a card of another account than the one given.
	ErrForbidden = errors.New("the card belongs to another account")
	// ErrKeyReused is for an idempotency key that came before, with another
	// request.
	ErrKeyReused = errors.New("the idempotency key was used for another request: use a new key for each request")
	// ErrRegistered is for registering a card that is registered with other
	// particulars.
	ErrRegistered = errors.New("the card is registered with other particulars")
	// ErrInvalid is what every [FieldError] matches.
	ErrInvalid = errors.New("invalid value")
)

// FieldError is a value that an operation does not take. It matches ErrInvalid.
// What the rules refuse comes as a *rotation.EventError instead.
type FieldError struct {
	Field  string // card, account, service_code, idempotency_key, pan, expiry, cvv, slots, …
	Detail string // what would do; never the value
}

// Error returns the field and what would do.
func (e *FieldError) Error() string { return e.Field + ": " + e.Detail }

// Unwrap returns ErrInvalid.
func (e *FieldError) Unwrap() error { return ErrInvalid }

// Ref names a card.
type Ref struct {
	Card    string  // the card's id
	Account string  // whose card it must be; "" is anybody's, for operators
	Effect  *Effect // where Reveal and what changes a card say what they did; nil: nobody asks
}

// Options is what an Engine works with.
type Options struct {
	Store     store.Store    // required
	Generator Generator      // required
	Clock     clock.Clock    // to sleep by; nil: the real one
	Rules     rotation.Rules // zero: a guard of 2 minutes
	Grace     time.Duration  // how long the CVV before stays good after a rotation; 0: not at all
	MaxTries  int            // wrong CVVs in a row that lock a card; 0: 3
	Source    string         // the source of events, a URI reference; "": "/cvvrotation"
	Workers   int            // claims at the same time in Run; 0: 1
	Batch     int            // cards in a claim; 0: 1000
	Poll      time.Duration  // longest sleep of Run, after which it looks what others have scheduled; 0: 1s
	Sweep     time.Duration  // time between two sweeps of Run; 0: 1h
	KeepFor   time.Duration  // how long delivered events are kept; 0: 7 days
	Logger    *slog.Logger   // nil: none
	Observer  Observer       // nil: none
	Written   func()         // called after events were written, to wake a relay; must not block; nil: none
}

// Engine is the rules at work on a store. Make one with New.
type Engine struct {
	store     store.Store
	generator Generator
	clock     clock.Clock
	rules     rotation.Rules
	options   Options
	log       *slog.Logger
	observer  Observer
	wake      chan struct{}
	asleep    atomic.Int64 // when Run wakes next by the store's time, in Unix nanoseconds; 0: it is awake
}

// New returns an engine. The error says which option is missing or out of range,
// and matches ErrInvalid.
func New(o Options) (*Engine, error) {
	switch {
	case o.Store == nil:
		return nil, &FieldError{"Store", "is required"}
	case o.Generator == nil:
		return nil, &FieldError{"Generator", "is required"}
	case o.Grace < 0:
		return nil, &FieldError{"Grace", "must not be negative"}
	case o.MaxTries < 0:
		return nil, &FieldError{"MaxTries", "must not be negative"}
	case o.Workers < 0 || o.Batch < 0:
		return nil, &FieldError{"Workers and Batch", "must not be negative"}
	case o.Poll < 0 || o.Sweep < 0 || o.KeepFor < 0:
		return nil, &FieldError{"Poll, Sweep and KeepFor", "must not be negative"}
	}
	setDefault(&o.MaxTries, 3)
	setDefault(&o.Workers, 1)
	setDefault(&o.Batch, 1000)
	setDefault(&o.Poll, time.Second)
	setDefault(&o.Sweep, time.Hour)
	setDefault(&o.KeepFor, 7*24*time.Hour)
	setDefault(&o.Source, "/cvvrotation")
	if o.Clock == nil {
		o.Clock = clock.New()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Observer == nil {
		o.Observer = NoObserver{}
	}
	if o.Written == nil {
		o.Written = func() {}
	}
	return &Engine{
		store: o.Store, generator: o.Generator, clock: o.Clock, rules: o.Rules, options: o,
		log: o.Logger, observer: o.Observer, wake: make(chan struct{}, 1),
	}, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Store returns the engine's store.
func (e *Engine) Store() store.Store { return e.store }

// checkRef refuses ids that could not be stored or written into a path, and
// those that look like a PAN.
func checkRef(ref Ref) error {
	if err := CheckCard(ref.Card); err != nil {
		return err
	}
	if ref.Account == "" {
		return nil
	}
	return CheckName("account", ref.Account)
}

// CheckCard returns a *FieldError if id can't be the id of a card: it must be fit
// for paths, logs and events, and so must not look like a PAN.
func CheckCard(id string) error {
	if err := CheckName("card", id); err != nil {
		return err
	}
	if looksLikePAN(id) {
		return &FieldError{"card", "must not be 12 to 19 digits: that could be a card number, and ids are in logs and events"}
	}
	return nil
}

// CheckName returns a *FieldError for the field if name is not fit for paths and
// logs: 1 to store.MaxID letters, digits and - _ : . of ASCII, with no dot in
// front.
func CheckName(field, name string) error {
	if len(name) == 0 || len(name) > store.MaxID {
		return &FieldError{field, fmt.Sprintf("must have 1 to %d characters", store.MaxID)}
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == ':':
		case c == '.' && i > 0:
		default:
			return &FieldError{field, "must consist of letters, digits and - _ : . (ASCII, no dot in front)"}
		}
	}
	return nil
}

// looksLikePAN reports whether id is 12 to 19 digits, however they are grouped.
func looksLikePAN(id string) bool {
	digits := strings.Map(func(r rune) rune {
		if strings.ContainsRune("-_:.", r) {
			return -1
		}
		return r
	}, id)
	return len(digits) >= 12 && len(digits) <= 19 && strings.Trim(digits, "0123456789") == ""
}

// owned reports whether the card is there for ref.
func owned(c *store.Card, ref Ref) error {
	if c.Version == 0 {
		return store.ErrNotFound
	}
	if ref.Account != "" && ref.Account != c.Account {
		return ErrForbidden
	}
	return nil
}
