package enginecheck

import (
	"context"

	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/sim/internal/splitmix"
)

// relay delivers waiting events to a sink that sometimes fails.
func (r *run) relay(s *splitmix.Stream, rep *replica, p *plan) {
	p.call = memory.CallRecordDeliveries
	if p.kind != faultBefore && p.kind != faultAfter {
		p.kind = noFault
	}
	events, err := rep.store.ListWaiting(r.ctx, 1+int(s.Below(10)), nil)
	if err != nil {
		r.violate(delivered, "reading the outbox: %v", err)
		return
	}
	var results []store.Delivery
	failed := map[string]bool{}
	for _, e := range events {
		if failed[e.Card] {
			continue
		}
		if s.OneIn(8) && p.call != 0 {
			failed[e.Card] = true
			results = append(results, store.Delivery{Position: e.Position, Failure: "the sink fails"})
			continue
		}
		r.receive(e.Event)
		results = append(results, store.Delivery{Position: e.Position, Status: store.StatusDelivered})
	}
	if len(results) == 0 {
		return
	}
	err = r.call(p, func(ctx context.Context) error { return rep.store.RecordDeliveries(ctx, results) })
	r.note("replica %d relays %d events: %s", rep.number+1, len(results), describeError(err))
	r.checkAnswer(p, "recording deliveries", err, nil)
}

// receive is the sink.
func (r *run) receive(e store.Event) {
	if e.Number > r.sink[e.Card]+1 {
		r.violate(delivered, "event %s was delivered before event %d", e.ID(), r.sink[e.Card]+1)
	}
	if e.Number <= r.sink[e.Card] {
		r.coverage[goalRedelivered]++
	}
	r.sink[e.Card] = max(r.sink[e.Card], e.Number)
}

// drain delivers all waiting events.
func (r *run) drain() {
	ctx := context.Background()
	for {
		events, err := r.base.ListWaiting(ctx, 100, nil)
		if err != nil || len(events) == 0 {
			break
		}
		var results []store.Delivery
		for _, e := range events {
			r.receive(e.Event)
			results = append(results, store.Delivery{Position: e.Position, Status: store.StatusDelivered})
		}
		if err := r.base.RecordDeliveries(ctx, results); err != nil {
			r.violate(delivered, "recording deliveries: %v", err)
			return
		}
	}
	for _, l := range r.cards {
		if r.sink[l.ref.Card] != l.events {
			r.violate(delivered, "only %d events of %s were delivered, of %d", r.sink[l.ref.Card], l.ref.Card, l.events)
		}
	}
}
