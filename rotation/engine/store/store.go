// Package store defines what the engine needs of a database: cards that are changed
// one at a time under their lock, an index of the cards that are due, and an
// outbox of events that is written in the transaction that changes the card.
//
// The comments here are the contract of every store, and package storetest checks a
// store against it. A store decides nothing: the function that is passed to Update
// decides what happens to a card.
//
// A store keeps instants as nanoseconds and returns them in UTC; the zero time is
// "none".
package store

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/internal/cardid"
	"cvvrotation/servicecode"
)

var (
	// ErrNotFound is for a card that is not registered.
	ErrNotFound = errors.New("no such card")
	// ErrClosed is for a call after Close, or one that had not begun when the
	// store was closed.
	ErrClosed = errors.New("the store is closed")
	// ErrSchema is for a database whose schema is not that of the program: at
	// opening, the message names both versions and the command to run; later, the
	// missing table or column.
	ErrSchema = errors.New("schema of the database")
	// ErrUnavailable is for a database that cannot be reached at the moment. A
	// later retry may succeed.
	ErrUnavailable = errors.New("the database can't be reached")
	// ErrReadOnly is for a database that accepts no writes at the moment: its disk is
	// full, it is a standby or read-only, or another program has locked it. Such an
	// error also matches ErrUnavailable.
	ErrReadOnly error = readOnly("the database refuses writes")
	// ErrFingerprint is what every FingerprintError matches.
	ErrFingerprint = errors.New("another card is registered with the same PAN and expiry")
	// ErrLeaseHeld is for a second relay of one outbox, while the first one holds
	// the lease.
	ErrLeaseHeld = errors.New("another relay holds the lease of the outbox")
)

// readOnly matches ErrUnavailable.
type readOnly string

func (r readOnly) Error() string        { return string(r) }
func (r readOnly) Is(target error) bool { return target == ErrUnavailable }

// Card is all that is stored of a card. It holds no secret in the clear.
type Card struct {
	ID      string // up to MaxID bytes; never a PAN
	Account string // that the card belongs to
	Version int64  // of the CVV: 1 when registered, one more with each rotation; 0: no such card
	Events  int64  // events written for the card so far, which is the newest one's number

	State    []byte        // rotation.State in its binary form
	Next     time.Time     // the next slot, as in State, for the index; zero: none
	Interval time.Duration // as in State, for the sweep; 0: none
	First    time.Time     // first slot of the last accepted settings, as requested; zero: none was requested
	Spread   bool          // the last accepted settings asked to spread the first slot
	Due      time.Time     // when to claim the card: Next, or later after a failure; zero: never

	ServiceCode    servicecode.Code // of the current CVV
	Sealed         []byte           // the current CVV, encrypted; nil where it is derived
	PreviousCode   servicecode.Code // of the previous CVV, whose version is one less
	PreviousSealed []byte           // the previous CVV, encrypted; nil where it is derived
	PreviousUntil  time.Time        // the previous CVV is accepted until then, exclusive; zero: it is not
	Identity       []byte           // PAN and expiry, encrypted, where the CVV is derived; nil otherwise
	Compromised    []byte           // CVVs that must not come back, encrypted; nil: none

	Created time.Time
	Rotated time.Time // when the current CVV was made

	Tries    int       // failed attempts since the current CVV was last presented
	Locked   time.Time // when too many failed attempts locked the card; zero: it is not locked
	FailedAt []byte    // instants of the failed attempts of the last 24 hours, as the engine encodes them; nil: none

	Failures int    // of automatic rotation, in a row
	Failure  string // the last of them, for people; no secret
}

// MaxID is the maximum length of a card's id and of an account's name, in bytes.
const MaxID = cardid.Max

// Event is an event to be delivered: what happened to one card.
type Event struct {
	Card    string
	Number  int64 // 1, 2, 3 … for each card, without a gap
	At      time.Time
	Payload []byte // delivered byte for byte, however often
}

// ID returns the event's id: the card's, a dot, the number. It is unique, and the
// same in every delivery of the event.
func (e Event) ID() string {
	return e.Card + "." + strconv.FormatInt(e.Number, 10)
}

// Answer is the stored answer to a call with an idempotency key.
type Answer struct {
	Request [32]byte  // hash of the request, to recognize another one under the same key
	Body    []byte    // the answer; no secret
	Expires time.Time // ignored from then on
}

// HashKey returns the form in which the engine passes an idempotency key of a card to
// Update: base64 of the SHA-256 of both. A key may hold personal data.
func HashKey(card, key string) string {
	sum := sha256.Sum256([]byte(card + " " + key)) // no id has a space
	return base64.StdEncoding.EncodeToString(sum[:])
}

// FingerprintError is for an update that sets a fingerprint which another card has. It
// matches ErrFingerprint. Its text does not name the card.
type FingerprintError struct {
	Card string // that has the fingerprint
}

// Error returns the text of ErrFingerprint.
func (e *FingerprintError) Error() string { return ErrFingerprint.Error() }

// Unwrap returns ErrFingerprint.
func (e *FingerprintError) Unwrap() error { return ErrFingerprint }

// Change is the change of one card under its lock. The function that receives it
// reads the first group of fields, changes Card and sets the second group. The
// function must be quick and have no other effect: a store that retries its
// transaction calls it again, each time with a fresh Change, and only the call
// whose transaction commits counts.
type Change struct {
	Now   time.Time // the store's time, read under the lock
	Card  Card      // as stored; if there is none, only the ID is set
	Slot  time.Time // of a claim: the card's Next when it was found, which may have changed before the lock
	Prior *Answer   // the answer stored under the update's key; nil if there is none, or it has expired at Now

	Write  bool    // store Card, as it now is
	Event  *Event  // add to the outbox
	Answer *Answer // store under the update's key

	// Fingerprints replace those of the card; nil: they stay. If another card has
	// one of them, the update fails with a *FingerprintError, and nothing is
	// stored. A claim ignores them.
	Fingerprints [][]byte
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

	Updater

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

	// SealingKey returns the id that SetSealingKey has recorded; 0: none.
	SealingKey(ctx context.Context) (uint32, error)

	// SetSealingKey records the id of the key that secrets are encrypted with.
	SetSealingKey(ctx context.Context, id uint32) error

	// Fingerprints returns the fingerprints of the card in the order of their
	// bytes; none for a card without one, or that is not registered.
	Fingerprints(ctx context.Context, card string) ([][]byte, error)

	// ListCardEvents returns up to limit events of the card whose Number is less
	// than before, whatever their status, newest first. Deleted events are left
	// out, and an unknown card has none. A store finds delivered and parked events
	// by an index; it may scan those that wait.
	ListCardEvents(ctx context.Context, card string, before int64, limit int) ([]Queued, error)

	// DeleteExpired deletes up to limit answers that have expired, and up to
	// limit events that were delivered before the given instant. It returns
	// how many rows it deleted.
	DeleteExpired(ctx context.Context, deliveredBefore time.Time, limit int) (int, error)
}

// Updater changes cards one at a time: a Store or a Tx.
type Updater interface {
	// Update calls fn with the card under its lock, and stores what fn asks
	// for, all or nothing. A key other than "" is an idempotency key, one
	// for each card: see Change.Prior and Change.Answer; without a key no
	// answer is kept. An error of fn is returned unchanged, and a panic of
	// fn reaches the caller; nothing is stored then. Updates of one card run
	// one after the other, even while the card does not exist yet.
	Update(ctx context.Context, id, key string, fn func(*Change) error) error
}

// Tx is a store in a transaction of the service's own. What Update reports as done is
// durable once that transaction is committed. The card stays locked until it ends.
type Tx interface {
	Updater

	// Committed is called after the commit. Without that call, changes are
	// noticed later, by polling.
	Committed()
}

// Clocked is a store whose Now is the time of a clock. The engine sleeps by this
// clock if it is given none.
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

	// ReportRelay stores the report, in place of any earlier one, with At as the
	// store's time.
	ReportRelay(ctx context.Context, r RelayReport) error

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

	// RelayReport returns the latest report of the relay; the zero RelayReport if
	// there was none.
	RelayReport(ctx context.Context) (RelayReport, error)

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

	// CheckWrites writes a row of 8 KiB durably, and deletes it. The error is that
	// of a write of this size; it matches ErrUnavailable if a retry may succeed. No
	// other method reports the row; DeleteExpired deletes what a crash left of it.
	CheckWrites(ctx context.Context) error

	// Requeue makes delivered and parked events with positions from first to
	// last, inclusive, wait again, as if no attempt had been made: with their
	// positions, ids and payloads. It returns how many.
	Requeue(ctx context.Context, first, last int64) (int64, error)
}

// Stats holds counts and ages of what is in a store.
type Stats struct {
	Cards     int64     // registered; may be an estimate
	Backlog   int64     // cards that are due: their Due is not after the store's time
	OldestDue time.Time // the earliest Due; zero: none
	Failing   int64     // cards with Failures

	Waiting       int64     // events waiting to be delivered
	OldestWaiting time.Time // At of the oldest waiting event, by At or by position; zero: none waits
	Parked        int64     // events that were dead-lettered
}

// RelayReport is what the holder of the outbox lease reports to the other processes.
type RelayReport struct {
	At      time.Time // when it was stored
	Holder  string    // names the process that holds the lease
	Down    time.Time // since when the sink accepts nothing; zero: it is up
	Failure string    // the sink's latest failure while it is down; no secret
}

// Lease makes its holder the only relay that may deliver.
type Lease interface {
	// Lost is closed when the lease has ended: the connection broke, or
	// Release was called.
	Lost() <-chan struct{}
	// Held reports whether the lease is held for certain. It is false once Lost
	// is closed, and while the store does not know, such as after a pause of the
	// process or of its connection. A relay asks before each delivery.
	Held() bool
	// Release ends the lease.
	Release()
}

// Status is the status of an event in the outbox. The zero value is StatusWaiting.
type Status uint8

// The statuses.
const (
	StatusWaiting   Status = iota // for its first delivery, or a retry
	StatusDelivered               // accepted by the sink
	StatusParked                  // dead-lettered; Requeue makes it wait again
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
	Attempts int    // that failed
	Failure  string // the last of them, for people; no secret
}

// Delivery is the outcome of one attempt to deliver an event.
type Delivery struct {
	Position int64
	Status   Status // StatusWaiting: failed, to be retried; it and StatusParked add to Attempts
	Failure  string // why it failed; ignored with StatusDelivered
}
