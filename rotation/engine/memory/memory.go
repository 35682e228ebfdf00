// Package memory is a store in memory, for tests and examples. It meets the
// contract of package store, except for durability beyond the process, and injects
// the faults of databases: see [Fault].
//
// The content outlives the Store: [Store.Reopen] passes it to a new one, as if the
// process had been killed and restarted.
package memory

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine/store"
)

// Store is a store.Store in memory. Make one with [New].
//
// All cards share one mutex, so functions given to Update and Claim run one after
// the other and must not call the store.
type Store struct {
	clk    clock.Clock
	faults atomic.Pointer[func(Op) Fault]
	*disk

	// Under the disk's mutex.
	closed bool // calls return ErrClosed
	dead   bool // calls that have begun return ErrClosed, too
	calls  int  // in progress
	idle   *sync.Cond
}

var (
	_ store.Store   = (*Store)(nil)
	_ store.Clocked = (*Store)(nil)
)

// disk is what outlives a Store.
type disk struct {
	mu      sync.Mutex
	rows    map[string]*row
	ids     []string // of the cards, in order unless shuffled
	shuffle bool
	due     index
	answers map[answerKey]store.Answer
	log     []entry // the position is the place, from 1
	waiting []int64 // positions in order
	leader  *lease

	prints map[string][][]byte // by card

	sealingKey uint32
	report     store.RelayReport
	holder     map[string]string // card by fingerprint
}

type answerKey struct{ card, key string }

// Options configures a [Store].
type Options struct {
	// Clock is the store's time. Defaults to the system's clock.
	Clock clock.Clock
}

// New returns an empty store.
func New(o Options) *Store {
	return open(o, &disk{
		rows:    make(map[string]*row),
		answers: make(map[answerKey]store.Answer),
		prints:  make(map[string][][]byte),
		holder:  make(map[string]string),
	})
}

func open(o Options, d *disk) *Store {
	if o.Clock == nil {
		o.Clock = clock.New()
	}
	return &Store{clk: o.Clock, disk: d, idle: sync.NewCond(&d.mu)}
}

// Reopen returns a new store with the content of s and without its faults. It
// is what a new process finds after s was closed or its process was killed. After
// Reopen, calls of s that have not committed return store.ErrClosed, and its lease
// is lost.
func (s *Store) Reopen(o Options) *Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.dead = true, true
	s.endLease(s.leader)
	return open(o, s.disk)
}

// Close implements store.Store. The second time it does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for s.calls > 0 {
		s.idle.Wait()
	}
	if s.leader != nil && s.leader.store == s {
		s.endLease(s.leader)
	}
	return nil
}

// begin starts a call. The caller must call end unless there is an error.
func (s *Store) begin(ctx context.Context, op Op) (Fault, error) {
	if err := ctx.Err(); err != nil {
		return Fault{}, err
	}
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.calls++
	}
	s.mu.Unlock()
	if closed {
		return Fault{}, store.ErrClosed
	}
	f := s.fault(op)
	if err := f.stall(ctx); err != nil {
		s.end()
		return Fault{}, err
	}
	return f, nil
}

func (s *Store) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls--
	if s.calls == 0 {
		s.idle.Broadcast()
	}
}

// do runs f under the mutex, as a call that changes or reads what is stored,
// with the faults of op around it.
func (s *Store) do(ctx context.Context, op Op, f func()) error {
	fault, err := s.begin(ctx, op)
	if err != nil {
		return err
	}
	defer s.end()
	return s.commit(fault, f)
}

// commit runs f under the mutex, unless the fault comes before the commit or the
// store was reopened.
func (s *Store) commit(fault Fault, f func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return store.ErrClosed
	}
	if fault.Before != nil {
		return fault.Before
	}
	f()
	return fault.After
}

// now is the store's time: UTC, and without a reading of the monotonic clock,
// which no database would keep.
func (s *Store) now() time.Time { return instant(s.clk.Now()) }

// instant returns t as a database returns it.
func instant(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.Unix(0, t.UnixNano()).UTC()
}

// Clock implements store.Clocked.
func (s *Store) Clock() clock.Clock { return s.clk }

// Now implements store.Cards.
func (s *Store) Now(ctx context.Context) (now time.Time, err error) {
	err = s.do(ctx, Op{Call: CallNow}, func() { now = s.now() })
	return now, err
}

// copyCard returns c with instants as stored and bytes of its own.
func copyCard(c store.Card) store.Card {
	c.State = bytes.Clone(c.State)
	c.Sealed = bytes.Clone(c.Sealed)
	c.PreviousSealed = bytes.Clone(c.PreviousSealed)
	c.Identity = bytes.Clone(c.Identity)
	c.Compromised = bytes.Clone(c.Compromised)
	c.FailedAt = bytes.Clone(c.FailedAt)
	c.Next = instant(c.Next)
	c.Due = instant(c.Due)
	c.First = instant(c.First)
	c.PreviousUntil = instant(c.PreviousUntil)
	c.Created = instant(c.Created)
	c.Rotated = instant(c.Rotated)
	c.Locked = instant(c.Locked)
	return c
}
