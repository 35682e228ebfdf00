package timers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation"
	"cvvrotation/rotation/internal/backoff"
	"cvvrotation/rotation/internal/paniclog"
	"cvvrotation/rotation/timers/internal/mocks"
)

// Fire is the callback for a due card. It loads the card under its lock, applies
// what [rotation.State.Due] returns, persists, and returns the card's stored state,
// changed or not: the card is armed for it. If it returns an error or panics, the
// card is tried again later.
//
// ctx is the context of Run or Tick. Fire must not call Tick, Stop, or Update for its
// own card.
type Fire func(ctx context.Context, card string) (rotation.State, error)

// Options configures Timers. Its zero value works.
type Options struct {
	// Workers is the maximum number of callbacks at one time. Defaults to 1:
	// each begins after the previous one has returned. With more, they begin in
	// the order of their instants and overlap.
	Workers int
	// Logger receives failures of callbacks. Defaults to none.
	Logger *slog.Logger
}

// ErrRunning is returned by Run while another Run is running.
var ErrRunning = errors.New("timers: Run is already running")

const (
	// maxBackoff is the maximum back-off of a card whose callback fails.
	maxBackoff = time.Hour
	// maxSleep is the maximum time between two readings of the clock. A timer of
	// the Go runtime does not notice that the wall clock steps ahead, or that the
	// machine is suspended.
	maxSleep = time.Minute
)

var (
	errNotServed = errors.New("the callback returned a state whose next slot is still due")
	errExited    = errors.New("the callback ended its goroutine")
)

// Timers wakes for cards. Make one with New. Its methods may be called from any
// goroutine, Arm also from the callback.
type Timers struct {
	clock   clock.Clock
	fire    Fire
	log     *slog.Logger
	workers int

	mu      sync.Mutex
	changed sync.Cond // a card may be due, a callback has returned, or Run has to end
	queue   *queue
	timer   *clock.Timer
	wakeAt  int64 // when timer fires; never: it does not
	busy    int   // callbacks that run
	ended   int   // callbacks that have returned
	running bool
	stopped bool

	updating map[string]bool // the cards whose Update runs
	mocked   *mocks.Timers   // on a mock clock, for timerstest
}

// New returns timers without a card. It returns an error if the clock or the
// callback is nil, or Workers is negative.
func New(clk clock.Clock, fire Fire, o Options) (*Timers, error) {
	switch {
	case clk == nil || fire == nil:
		return nil, errors.New("timers: New needs a clock and a callback")
	case o.Workers < 0:
		return nil, fmt.Errorf("timers: Workers must not be negative: %d", o.Workers)
	}
	t := &Timers{
		clock: clk, fire: fire, workers: cmp.Or(o.Workers, 1),
		log:   cmp.Or(o.Logger, slog.New(slog.DiscardHandler)),
		queue: newQueue(), wakeAt: never, updating: make(map[string]bool),
	}
	t.changed.L = &t.mu
	if mock, ok := clk.(*clock.Mock); ok {
		t.mocked = &mocks.Timers{Settle: func() (next time.Time, armed bool, callbacks int) {
			next, armed = t.Tick(context.Background())
			t.mu.Lock()
			defer t.mu.Unlock()
			return next, armed, t.ended
		}}
		mocks.Add(mock, t.mocked)
	}
	return t, nil
}

// Arm arms the card for the state's next slot, moves it there, or cancels it if
// automatic rotation is off in the state. If the slot has passed, the card is due at
// once. When Arm returns, the clock's timer exists. Arm ends a back-off. After Stop
// it does nothing.
//
// Call Arm AFTER the state was persisted, and for the states of one card in the order
// in which they were persisted, or call Update, which does both. If the card's callback is running, Arm does not wait:
// the card is then armed for the earlier one of the slots of the two states, whichever
// is older. So no wake-up is lost; if it was the wrong one, Due returns false, and the
// card is armed for the state that the callback loads.
func (t *Timers) Arm(card string, s rotation.State) {
	at := int64(never)
	if next, on := s.Next(); on {
		at = next.UnixNano()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return
	}
	if t.queue.n == 0 {
		t.queue.base = t.now()
	}
	t.queue.arm(card, at)
	if t.queue.earliest < t.wakeAt {
		t.wake(t.now())
	}
}

// Update calls update, which persists a change of the card and returns the stored
// state, and arms the card for it. Updates of one card run one at a time, so that the
// newest state is armed last, whichever goroutine is faster. An error of update is
// returned, and the card stays armed as it was. A card that was deleted has the zero
// state, which cancels it. update must not call Update for the same card.
func (t *Timers) Update(card string, update func() (rotation.State, error)) error {
	t.mu.Lock()
	for t.updating[card] {
		t.changed.Wait()
	}
	t.updating[card] = true
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.updating, card)
		t.changed.Broadcast()
	}()
	s, err := update()
	if err == nil {
		t.Arm(card, s)
	}
	return err
}

// Run hands each due card to the callback, oldest slot first, and cards of one slot in
// the order of their ids. It returns nil after ctx ended or Stop was called, when the
// callbacks have returned. Both end it alike, but ctx is also the callbacks' context.
// Cards stay armed when ctx ends, and Run may be called again. A second Run at the
// same time returns ErrRunning.
func (t *Timers) Run(ctx context.Context) error {
	t.mu.Lock()
	if t.running {
		t.mu.Unlock()
		return ErrRunning
	}
	t.running = true
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.running = false
		t.changed.Broadcast()
	}()
	defer context.AfterFunc(ctx, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.changed.Broadcast()
	})()
	var workers sync.WaitGroup
	var worker func()
	worker = func() {
		exited := true
		defer func() {
			if exited { // a callback ended the goroutine, as runtime.Goexit does
				workers.Go(worker)
			}
		}()
		t.work(ctx, false)
		exited = false
	}
	for range t.workers {
		workers.Go(worker)
	}
	workers.Wait()
	return nil
}

// Tick hands the cards that are due to the callback, as Run does but in the calling
// goroutine, and returns when none is due and no callback is running. next is the
// earliest instant for which a card is armed, of a slot or of a retry; armed is false
// if no card is. It is for a host with a loop of its own. It returns early when ctx ends.
func (t *Timers) Tick(ctx context.Context) (next time.Time, armed bool) {
	t.work(ctx, true)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.queue.earliest == never {
		return time.Time{}, false
	}
	return time.Unix(0, t.queue.earliest).UTC(), true
}

// Stop ends Run for good, cancels all cards, and waits for the callbacks that are
// running. After that no goroutine and no timer is left. Further calls wait, too.
func (t *Timers) Stop() {
	if mock, ok := t.clock.(*clock.Mock); ok {
		mocks.Remove(mock, t.mocked)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped, t.queue = true, newQueue()
	if t.timer != nil {
		t.timer.Stop()
	}
	t.changed.Broadcast()
	for t.running || t.busy > 0 {
		t.changed.Wait()
	}
}

func (t *Timers) now() int64 { return t.clock.Now().UnixNano() }

// work hands out due cards until ctx ends or Stop is called or, with once, until none
// is due and no callback runs.
func (t *Timers) work(ctx context.Context, once bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for ctx.Err() == nil && !t.stopped {
		if t.busy < t.workers && t.deliver(ctx) {
			continue
		}
		if once && t.busy == 0 {
			return
		}
		t.changed.Wait()
	}
}

// deliver hands out the first card if it is due. Else it sets the timer.
func (t *Timers) deliver(ctx context.Context) bool {
	now := t.now()
	place, due := t.queue.take(now)
	if !due {
		t.wake(now) // by the same reading, so that a slot that comes meanwhile sets the timer
		return false
	}
	t.busy++
	card, state, err := t.queue.cards[place].id, rotation.State{}, errExited
	defer func() {
		t.mu.Lock()
		if !t.stopped {
			if report := t.settle(ctx, place, now, state, err); report != nil {
				t.mu.Unlock() // the logger may be slow
				report()
				t.mu.Lock()
			}
		}
		t.busy, t.ended = t.busy-1, t.ended+1
		t.changed.Broadcast()
	}()
	t.mu.Unlock()
	state, err = t.call(ctx, card)
	return true
}

// call calls the callback. A panic becomes an error.
func (t *Timers) call(ctx context.Context, card string) (_ rotation.State, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic (%T)", v)
			t.log.ErrorContext(ctx, "callback of a due card panicked", "card", card, paniclog.Attr(v))
		}
	}()
	return t.fire(ctx, card)
}

// settle arms a card whose callback has returned: for the earliest of the state that it
// returned, of what Arm was called for meanwhile, and of the retry.
//
// A slot that had passed when the card was handed out is not served: the callback did
// not apply Due, or its clock is behind. It is retried as after an error, since at once
// would be a busy loop. It returns what to log without the lock, or nil.
func (t *Timers) settle(ctx context.Context, place int32, handedOut int64, s rotation.State, err error) (report func()) {
	card, at := t.queue.cards[place].id, t.queue.cards[place].at
	if next, on := s.Next(); err == nil && on {
		at = min(at, next.UnixNano())
		if next.UnixNano() <= handedOut {
			err = errNotServed
		}
	}
	if err == nil && at > handedOut {
		delete(t.queue.failures, place)
	} else {
		failures := min(t.queue.failures[place], 254) + 1
		t.queue.failures[place] = failures
		wait := retry(card, int(failures))
		if retryAt := t.now() + int64(wait); at <= handedOut || retryAt < at {
			at = retryAt
		}
		if err != nil && ctx.Err() == nil {
			report = func() {
				t.log.ErrorContext(ctx, "rotating a due card failed; retrying with back-off", "card", card, "failures", failures, "in", wait, "error", err)
			}
		}
	}
	t.queue.put(place, at)
	return report
}

// retry returns how long to wait after so many failures of a card in a row. Jitter
// shortens it by up to a half, so that cards that failed together are not tried
// together. It depends on card and number alone, so that tests can be repeated.
func retry(card string, failures int) time.Duration {
	hash := fnv.New64a()
	io.WriteString(hash, card)
	hash.Write([]byte{byte(failures)})
	wait := backoff.After(failures, maxBackoff)
	return wait - time.Duration(hash.Sum64()%uint64(wait/2+1))
}

// wake wakes the workers if a card is due. Otherwise it sets the timer for the first
// card, unless the timer fires earlier.
func (t *Timers) wake(now int64) {
	at := t.queue.earliest
	if at <= now {
		t.changed.Broadcast()
		return
	}
	if t.mocked == nil && at != never { // a mock clock's timers notice each step
		at = min(at, now+int64(maxSleep))
	}
	if at == never || now < t.wakeAt && t.wakeAt <= at {
		return
	}
	t.wakeAt = at
	if t.timer != nil {
		t.timer.Reset(time.Duration(at - now))
		return
	}
	t.timer = t.clock.AfterFunc(time.Duration(at-now), func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.wakeAt = never
		t.changed.Broadcast()
	})
}
