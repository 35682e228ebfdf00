package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cvvrotation/rotation/engine/store"
)

// term is a relay's time as the leader. One goroutine owns it; deliveries run in
// others, and report to it through finished.
type term struct {
	*Relay
	sink  context.Context // of deliveries; ended by cut
	cut   context.CancelFunc
	store context.Context // of their record; ended by leave
	leave context.CancelFunc

	busy     map[string]bool  // cards whose events are in flight, or not recorded yet
	held     map[string]*hold // cards whose next event has failed
	probed   map[string]bool  // cards whose event has probed in vain since the sink took the last one
	inFlight int              // batches
	finished chan batch
	more     bool      // there may be events that wait and are not held
	pollAt   time.Time // when to look for them anyway

	taken    int64     // events that the sink took
	suspects int       // cards that failed since it took the last one
	rejected int       // events that it rejected since then, and that were parked
	pauses   int       // in a row
	pausedTo time.Time // the sink is unavailable: no delivery before
	down     time.Time // since when it takes nothing; zero: it works
	failure  string    // the last one, while it is down

	unrecorded  outcomes  // to be recorded next
	recording   *outcomes // being recorded, while other events are read and delivered; nil: none
	recorded    chan error
	storeErrs   int // failures of the store in a row
	storeBackAt time.Time
}

// hold is a card whose next event has failed.
type hold struct {
	until    time.Time
	failures int
	seen     int64 // taken, when it failed last
	counted  bool  // the last failure was the event's
}

// result is an outcome, and whether the store is to know of it.
type result struct {
	Outcome
	record bool
}

// outcomes is what became of events.
type outcomes struct {
	results []result
	cards   []string // no longer busy when the store knows
}

// batch is a batch of events, before and after the sink has had it.
type batch struct {
	events []store.Queued
	errs   []error
	taken  int64 // the term's, at the start
	probe  bool  // one event, which tells whether the sink is back
}

// serve delivers until ctx ends or the lease is lost.
func (r *Relay) serve(ctx context.Context, lease store.Lease) error {
	t := &term{
		Relay: r, busy: map[string]bool{}, held: map[string]*hold{}, probed: map[string]bool{},
		finished: make(chan batch, r.o.Lanes), recorded: make(chan error, 1), more: true,
	}
	t.sink, t.cut = context.WithCancel(context.WithoutCancel(ctx))
	defer t.cut()
	t.store, t.leave = context.WithCancel(context.WithoutCancel(ctx))
	defer t.leave()
	leads, stop := context.WithCancel(ctx)
	defer stop()
	go func() { // beside the loop, which a store that hangs holds up
		select {
		case <-lease.Lost():
			t.cut()
			stop()
		case <-leads.Done():
		}
	}()
	for {
		t.settle(ctx)
		t.fetch(leads)
		t.publish()
		timer := t.o.Clock.Timer(t.wait())
		select {
		case b := <-t.finished:
			t.finish(ctx, b)
		case err := <-t.recorded:
			t.settled(ctx, err)
		case <-t.wake:
			t.more = true
		case <-timer.C: // a poll, or the end of a delay
			t.more = true
		case <-leads.Done():
			timer.Stop()
			return t.drain(ctx)
		}
		timer.Stop()
		for len(t.finished) > 0 {
			t.finish(ctx, <-t.finished)
		}
	}
}

// fetch starts deliveries, as many as there may be.
func (t *term) fetch(ctx context.Context) {
	now := t.o.Clock.Now()
	if !now.Before(t.pollAt) {
		t.more, t.pollAt = true, now.Add(t.o.Poll)
	}
	if now.Before(t.pausedTo) || now.Before(t.storeBackAt) || t.storeErrs > 0 && t.recording != nil {
		return
	}
	except, held := t.except(now)
	for t.more && t.inFlight < t.o.Lanes && held < t.o.MaxHeld && len(t.unrecorded.results) < t.o.Lanes*t.o.Batch {
		limit := t.o.Batch
		if t.pauses > 0 { // one event tells whether the sink is back
			if limit = 1; t.inFlight > 0 {
				return
			}
		}
		events, err := t.o.Outbox.Pending(ctx, limit, except)
		if err != nil {
			t.storeFailed(ctx, "the outbox could not be read", err)
			return
		}
		t.storeErrs = 0
		t.pollAt = now.Add(t.o.Poll)
		if len(events) == 0 && len(t.probed) > 0 { // all have: from the first one on again
			clear(t.probed)
			except, held = t.except(now)
			continue
		}
		if t.more = len(events) == limit; len(events) == 0 {
			return
		}
		for _, e := range events {
			if !t.busy[e.Card] {
				t.busy[e.Card] = true
				except = append(except, e.Card)
			}
		}
		t.inFlight++
		b := batch{events: events, taken: t.taken, probe: t.pauses > 0}
		go func() {
			b.errs = t.o.Sink.Deliver(t.sink, b.events)
			t.finished <- b
		}()
	}
}

// except returns the cards that are not to be delivered now, and how many of
// them are held back. It forgets cards whose event nobody sees any more.
func (t *term) except(now time.Time) (cards []string, held int) {
	cards = make([]string, 0, len(t.busy)+len(t.held)+len(t.probed))
	for card := range t.busy {
		cards = append(cards, card)
	}
	for card := range t.probed {
		cards = append(cards, card)
	}
	for card, h := range t.held {
		switch {
		case t.busy[card]:
		case h.until.After(now):
			cards = append(cards, card)
			held++
		case h.until.Add(t.o.MaxBackoff + t.o.MaxPause).Before(now):
			delete(t.held, card)
		}
	}
	return cards, held
}

// wait returns how long there is nothing to do, unless something happens.
func (t *term) wait() time.Duration {
	now, next := t.o.Clock.Now(), t.pollAt
	for _, h := range t.held {
		if h.until.After(now) && h.until.Before(next) {
			next = h.until
		}
	}
	for _, pause := range []time.Time{t.pausedTo, t.storeBackAt} {
		if pause.After(next) {
			next = pause
		}
	}
	if len(t.unrecorded.cards) > 0 && t.recording == nil && t.storeBackAt.Before(next) {
		next = t.storeBackAt // which does not wait for a sink that rests
	}
	return max(next.Sub(now), 1)
}

// finish takes note of what became of a batch.
func (t *term) finish(ctx context.Context, b batch) {
	t.inFlight--
	for len(b.errs) < len(b.events) {
		b.errs = append(b.errs, errors.New("the sink said nothing of the event"))
	}
	for i := range b.events {
		if b.errs[i] == nil {
			t.taken++
			t.suspects, t.rejected = 0, 0
		}
	}
	nothing := b.taken == t.taken // was taken since the batch began
	now := t.o.Clock.Now()
	var unavailable, last error
	stopped := map[string]bool{}
	for i, e := range b.events {
		t.unrecorded.cards = append(t.unrecorded.cards, e.Card)
		err := b.errs[i]
		r := result{Outcome{Event: e, Err: err, Lag: max(now.Sub(e.At), 0)}, true}
		switch {
		case stopped[e.Card]:
			continue // whatever the sink says: it comes after what failed
		case err == nil:
			r.Status = store.Delivered
			delete(t.held, e.Card)
		case errors.Is(err, ErrRejected) && (!nothing || t.rejected == 0):
			r.Status = store.Parked
			t.rejected++
			delete(t.held, e.Card)
		case t.sink.Err() != nil || errors.Is(err, ErrHeld):
			stopped[e.Card] = true
			continue
		case errors.Is(err, ErrUnavailable):
			stopped[e.Card] = true
			unavailable, r.record = err, false
			if b.probe {
				t.probed[e.Card] = true // another one is next: it may be this event's fault
				if t.hold(&r, b.taken, now); !r.record {
					t.held[e.Card].until = now
				}
			}
		default:
			stopped[e.Card] = true
			last = err
			t.hold(&r, b.taken, now)
		}
		t.unrecorded.results = append(t.unrecorded.results, r)
	}
	switch {
	case unavailable != nil:
		t.pause(ctx, now, unavailable, nothing)
	case last != nil && nothing && t.suspects >= 2:
		t.pause(ctx, now, last, true)
	case !nothing:
		t.resume(ctx, now)
	}
}

// hold holds back the card of an event that failed; taken is what the sink had
// taken when it was tried. It sets whether the failure counts.
func (t *term) hold(r *result, taken int64, now time.Time) {
	e := r.Event
	h := t.held[e.Card]
	if h == nil {
		h = &hold{failures: e.Attempts, seen: taken}
		t.held[e.Card] = h
		t.suspects++
	} else if h.seen != t.taken {
		t.suspects++
	}
	h.counted = t.taken != h.seen
	h.seen = t.taken
	h.failures++
	h.until = now.Add(t.backoff(h.failures, t.o.MaxBackoff))
	r.record = h.counted
	if h.counted && (e.Attempts+1 >= t.o.MaxAttempts || errors.Is(r.Err, ErrRejected)) {
		r.Status = store.Parked
		delete(t.held, e.Card)
	}
}

// pause stops deliveries for a while, since the sink takes nothing, or says that
// it would rather not.
func (t *term) pause(ctx context.Context, now time.Time, why error, nothing bool) {
	if !now.Before(t.pausedTo) { // batches that fail together are one failure
		t.pauses++
	}
	d := t.backoff(t.pauses, t.o.MaxPause)
	var u *Unavailable
	if errors.As(why, &u) {
		d = max(d, min(u.After, maxAfter))
	}
	if end := now.Add(d); end.After(t.pausedTo) {
		t.pausedTo = end
	}
	told := t.failure
	t.failure = reason(why)
	if nothing && t.down.IsZero() {
		t.down, told = now, ""
	}
	if !t.down.IsZero() && t.failure != told {
		t.o.Logger.WarnContext(ctx, "the sink takes no events", "error", t.failure)
	}
}

// resume ends pauses, since the sink has taken something. What failed for no
// fault of its own is tried at once.
func (t *term) resume(ctx context.Context, now time.Time) {
	if t.pauses == 0 {
		return
	}
	t.pauses = 0
	clear(t.probed)
	for _, h := range t.held {
		if !h.counted {
			h.until, h.failures = now, 0
		}
	}
	if !t.down.IsZero() {
		t.o.Logger.InfoContext(ctx, "the sink takes events again", "after", now.Sub(t.down))
		t.down, t.failure = time.Time{}, ""
	}
}

// settle begins to record what has become of events, unless it is at it already.
func (t *term) settle(ctx context.Context) {
	if t.recording != nil || len(t.unrecorded.cards) == 0 || t.o.Clock.Now().Before(t.storeBackAt) {
		return
	}
	now := t.unrecorded
	t.recording, t.unrecorded = &now, outcomes{}
	var deliveries []store.Delivery
	for _, r := range t.recording.results {
		if !r.record {
			continue
		}
		d := store.Delivery{Position: r.Event.Position, Status: r.Status}
		if r.Err != nil {
			d.Failure = reason(r.Err)
		}
		deliveries = append(deliveries, d)
	}
	if len(deliveries) == 0 {
		t.settled(ctx, nil)
		return
	}
	go func() { t.recorded <- t.o.Outbox.Settle(t.store, deliveries) }()
}

// settled ends what settle began: the next events of the cards may follow.
func (t *term) settled(ctx context.Context, err error) {
	done := *t.recording
	t.recording = nil
	if err != nil {
		t.unrecorded = outcomes{append(done.results, t.unrecorded.results...), append(done.cards, t.unrecorded.cards...)}
		t.storeFailed(ctx, "deliveries could not be recorded", err)
		return
	}
	t.storeErrs = 0
	for _, r := range done.results {
		if r.Status == store.Parked {
			t.o.Logger.ErrorContext(ctx, "an event is parked", "event", r.Event.ID(),
				"position", r.Event.Position, "attempts", r.Event.Attempts+1, "error", reason(r.Err))
		}
		t.o.Observe(r.Outcome)
	}
	for _, card := range done.cards {
		delete(t.busy, card)
	}
	t.more = true // perhaps later events of the same cards
}

func (t *term) storeFailed(ctx context.Context, what string, err error) {
	if ctx.Err() != nil {
		return
	}
	t.storeErrs++
	t.storeBackAt = t.o.Clock.Now().Add(t.backoff(t.storeErrs, t.o.MaxPause))
	t.o.Logger.WarnContext(ctx, what, "error", err)
}

// drain waits for what is in flight, cutting it off when the grace is over, and
// records it.
func (t *term) drain(ctx context.Context) error {
	ctx, cancel := t.o.Clock.WithTimeout(context.WithoutCancel(ctx), 2*t.o.Grace)
	defer cancel()
	context.AfterFunc(ctx, t.leave)
	grace := t.o.Clock.Timer(t.o.Grace)
	defer grace.Stop()
	for t.inFlight > 0 {
		select {
		case b := <-t.finished:
			t.finish(ctx, b)
			t.settle(ctx)
		case err := <-t.recorded:
			t.settled(ctx, err)
		case <-grace.C:
			t.cut()
		}
	}
	for tries := 0; ; tries++ {
		if t.recording != nil {
			t.settled(ctx, <-t.recorded)
		}
		switch {
		case len(t.unrecorded.cards) == 0:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("outbox: deliveries could not be recorded (%d): they will be made again", len(t.unrecorded.results))
		case tries > 0:
			t.sleep(ctx, t.backoff(tries, t.o.MaxPause))
		}
		t.storeBackAt = time.Time{}
		t.settle(ctx)
	}
}

// publish shows the state.
func (t *term) publish() {
	s := State{Leading: true, InFlight: t.inFlight, Held: len(t.held), Down: t.down, Failure: t.failure}
	if s != t.State() {
		t.state.Store(&s)
	}
}
