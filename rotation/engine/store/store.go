// Package store says what the engine asks of a database: cards that are changed
// one at a time under their lock, an index of the cards that are due, and an
// outbox of events that is written in the transaction that changes the card.
//
// The stores are in the folders below, and storetest holds all of them to the
// contract that the comments here state. Nothing here decides anything: what
// happens to a card is in the function that an update is given.
//
// A store keeps instants as nanoseconds and hands them back in UTC; the zero
// time is "none".
package store

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine/internal/cardid"
	"cvvrotation/servicecode"
)

var (
	// ErrNotFound is for a card that is not registered.
	ErrNotFound = errors.New("no such card")
	// ErrClosed is for a call after Close, or one that Close cut off before it
	// began.
	ErrClosed = errors.New("the store is closed")
	// ErrSchema is for a database whose schema is not the one that this
	// program needs. The message says which is which and what to run.
	ErrSchema = errors.New("schema of the database")
	// ErrUnavailable is for a database that can't be reached at the moment.
	// Trying again later may help.
	ErrUnavailable = errors.New("the database can't be reached")
	// ErrLeaseHeld is for a second relay of one outbox, while the first leads.
	ErrLeaseHeld = errors.New("another relay holds the lease of the outbox")
)

// Card is all that is stored of a card. It holds no secret in the clear.
type Card struct {
	ID      string // at most MaxID bytes; never a PAN
	Account string // whose card it is
	Version int64  // of the CVV: 1 when registered, one more with each rotation; 0: no such card
	Events  int64  // events written for the card so far, which is the newest one's number

	State    []byte        // rotation.State in its binary form
	Next     time.Time     // the next slot, as in State, for the index; zero: none
	Interval time.Duration // as in State, for the sweep; 0: none
	Due      time.Time     // when to claim the card: Next, or later after a failure; zero: never

	ServiceCode    servicecode.Code // of the current CVV
	Sealed         []byte           // the current CVV, sealed; nil where it is derived
	PreviousCode   servicecode.Code // of the CVV before, whose version is one less
	PreviousSealed []byte           // the CVV before, sealed; nil where it is derived
	PreviousUntil  time.Time        // the CVV before is good until then, exclusive; zero: it is not
	Identity       []byte           // PAN and expiry, sealed, where the CVV is derived; nil otherwise

	Created time.Time
	Rotated time.Time // when the current CVV was made

	Tries  int       // wrong CVVs presented since the last right one
	Locked time.Time // when too many tries locked the card; zero: it is not locked

	Failures int    // of automatic rotation, in a row
	Failure  string // the last of them, for people; no secret
}

// MaxID is the length of a card's id and of an account's name, in bytes.
const MaxID = cardid.Max

// Event is an event to be delivered: what happened to one card.
type Event struct {
	Card    string
	Number  int64 // 1, 2, 3 … for each card, without a gap
	At      time.Time
	Payload []byte // what is delivered, to the byte, however often
}

// ID returns the event's id: the card's, a dot, the number. It is the same
// whenever the event is delivered, and no other event has it.
func (e Event) ID() string {
	return e.Card + "." + strconv.FormatInt(e.Number, 10)
}

// Answer is what a call with an idempotency key was answered.
type Answer struct {
	Request [32]byte  // hash of the request, to tell another one under the same key
	Body    []byte    // the answer; no secret
	Expires time.Time // no longer good from then on
}

// Change is one card under its lock. The function that is given a Change reads the
// first group of fields, changes Card and sets the second. It must be quick, and
// have no effect but on the Change: it is called again when the store has to try
// again, each time with a fresh Change, and what counts is the call whose
// transaction commits.
type Change struct {
	Now   time.Time // the store's time, read after the lock was taken
	Card  Card      // as stored; Version 0, and only the ID set, when there is none
	Slot  time.Time // of a claim: the Next for which the card was found, which may have moved before the lock
	Prior *Answer   // what was answered before under the update's key, unless expired at Now; else nil

	Write  bool    // store Card, as it now is
	Event  *Event  // add to the outbox
	Answer *Answer // keep under the update's key
}

// Store is a database of cards with an outbox. It is the union of what its
// users need: the engine uses Cards, the relay uses Outbox, and operators'
// commands, the status page and metrics use Operator. All methods may be called
// concurrently from any number of goroutines, and from any number of processes
// where the database serves several. What a method reports as done is durable.
//
// An error means that nothing was done, with one exception that no database
// can avoid: if the connection breaks, or ctx ends, during a commit, the
// outcome is unknown. A caller that must know uses an idempotency key.
type Store interface {
	Cards
	Outbox
	Operator

	// Close waits for calls that have begun, and closes the store.
	Close() error
}

// Cards is what the engine needs of a store.
type Cards interface {
	// Now returns the store's time: the database's where several processes
	// share one, else that of the clock that the store was opened with.
	// Change.Now is this time.
	Now(ctx context.Context) (time.Time, error)

	// Card returns the card. The error matches ErrNotFound.
	Card(ctx context.Context, id string) (Card, error)

	// Update calls fn with the card under its lock, and stores what fn asks
	// for, all or nothing. A key other than "" is an idempotency key, one
	// for each card: see Change.Prior and Change.Answer; without a key no
	// answer is kept. An error of fn is returned unchanged, and a panic of
	// fn reaches the caller; nothing is stored then. Updates of one card run
	// one after the other, even while the card does not exist yet.
	Update(ctx context.Context, id, key string, fn func(*Change) error) error

	// Claim calls fn with up to limit cards whose Due is not after the
	// store's time, oldest first, each under its lock, and stores what fn
	// asks for, for all of them or for none. Cards under another caller's
	// lock may be left out. It returns how many cards fn was called with, 0
	// when none is due. An error of fn leaves out its card only: fn should
	// give the card a later Due instead, or the next claim finds it again.
	//
	// A Claim delays an Update for no more than the time that one Claim
	// needs.
	Claim(ctx context.Context, limit int, fn func(*Change) error) (int, error)

	// NextDue returns the earliest Due, and whether there is one. It may be
	// in the past.
	NextDue(ctx context.Context) (time.Time, bool, error)

	// IDsTooFarAhead returns the ids of up to limit cards, in the order of
	// ids and after the given one, whose Next is more than their Interval
	// after the store's time.
	IDsTooFarAhead(ctx context.Context, after string, limit int) ([]string, error)

	// ListCards returns up to limit cards in the order of ids (bytewise),
	// after the given id.
	ListCards(ctx context.Context, after string, limit int) ([]Card, error)

	// DeleteExpired deletes up to limit answers that have expired, and up to
	// limit events that were delivered before the given instant. It returns
	// how many rows it deleted.
	DeleteExpired(ctx context.Context, deliveredBefore time.Time, limit int) (int, error)
}

// Clocked is a store that has a clock: one whose Now is that clock's time. Who
// works with the store and has no clock sleeps and measures by this one.
type Clocked interface {
	Clock() clock.Clock // nil: none
}

// Outbox is where events wait for delivery, and where delivered ones are kept
// for a while: what a relay needs of a store. Every event has a position, which
// grows: of two events of one card, the later one has the higher position.
// Positions are never reused. Between cards positions have no meaning.
type Outbox interface {
	// AcquireLease makes the caller the one relay of the outbox, among all
	// processes, until Release is called or the lease is lost. The error
	// matches ErrLeaseHeld while another relay holds the lease.
	AcquireLease(ctx context.Context) (Lease, error)

	// ListWaiting returns up to limit events that wait, in the order of
	// positions, without those of the cards in except.
	ListWaiting(ctx context.Context, limit int, except []string) ([]Queued, error)

	// RecordDeliveries stores the outcome of attempts to deliver, in one
	// transaction. It ignores positions of events that no longer wait.
	RecordDeliveries(ctx context.Context, results []Delivery) error

	// DeleteUndelivered deletes waiting events that are too old: of the up to
	// limit waiting events with the lowest positions, those whose At is
	// before the given instant. It returns how many. It is for an outbox
	// without a relay.
	DeleteUndelivered(ctx context.Context, before time.Time, limit int) (int, error)
}

// Operator is what operators' commands, the status page and metrics need of a
// store.
type Operator interface {
	// Stats returns counts and ages, for metrics and people.
	Stats(ctx context.Context) (Stats, error)

	// ListFailingCards returns up to limit cards with Failures, in the order
	// of ids.
	ListFailingCards(ctx context.Context, limit int) ([]Card, error)

	// CountDue returns for each of n steps from the given instant how many
	// cards have their Due in it: from its start, inclusive, to its end,
	// exclusive.
	CountDue(ctx context.Context, from time.Time, step time.Duration, n int) ([]int64, error)

	// ListEvents returns up to limit events with a position after the given
	// one, whatever their status, in the order of positions.
	ListEvents(ctx context.Context, after int64, limit int) ([]Queued, error)

	// Requeue makes delivered and parked events with positions from first to
	// last, inclusive, wait again, as if no attempt had been made: with their
	// positions, ids and payloads. It returns how many.
	Requeue(ctx context.Context, first, last int64) (int64, error)
}

// Stats is the size of things in a store.
type Stats struct {
	Cards     int64     // registered; may be an estimate
	Backlog   int64     // cards that are due: their Due is not after the store's time
	OldestDue time.Time // the earliest Due; zero: none
	Failing   int64     // cards with Failures

	Waiting       int64     // events waiting to be delivered
	OldestWaiting time.Time // At of the one that waits longest, by the clock or by position; zero: none waits
	Parked        int64     // events given up
}

// Lease is the right to deliver.
type Lease interface {
	// Lost is closed when the right is gone, be it that the connection
	// broke or that Release was called.
	Lost() <-chan struct{}
	// Release gives the right up.
	Release()
}

// Status is what became of an event. The zero value is that it waits.
type Status uint8

// The things that become of an event.
const (
	StatusWaiting   Status = iota // to be delivered, again perhaps
	StatusDelivered               // taken by the sink
	StatusParked                  // given up; Requeue brings it back
)

// String returns the status in lower case; an unknown one as Status(n).
func (s Status) String() string {
	switch s {
	case StatusWaiting:
		return "waiting"
	case StatusDelivered:
		return "delivered"
	case StatusParked:
		return "parked"
	}
	return "Status(" + strconv.Itoa(int(s)) + ")"
}

// Queued is an event in the outbox.
type Queued struct {
	Event
	Position int64 // from 1
	Status   Status
	Attempts int    // failed ones
	Failure  string // the last of them, for people; no secret
}

// Delivery is what became of one attempt to deliver an event.
type Delivery struct {
	Position int64
	Status   Status // Waiting: failed and to be tried again. Waiting and Parked count an attempt
	Failure  string // why it failed; Delivered leaves the last one as it was
}
