package jetstream_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"cvvrotation/internal/must"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/jetstream"
)

func TestRelay_ServerRestartLosesAndRepeatsNothing(t *testing.T) {
	const cards, each = 40, 50
	dir := t.TempDir()
	first := run(t, dir, -1, nil)
	url := first.ClientURL()
	port, _ := strconv.Atoi(url[strings.LastIndexByte(url, ':')+1:])
	sink := newSink(t, dial(t, url), jetstream.Options{Create: true, Timeout: 2 * time.Second})

	events := memory.New(memory.Options{})
	for i := range cards * each {
		must.Do(t, events.Update(t.Context(), fmt.Sprintf("card-%d", i%cards), "", func(change *store.Change) error {
			change.Card.Version, change.Card.Events, change.Write = 1, change.Card.Events+1, true
			change.Event = &store.Event{Card: change.Card.ID, Number: change.Card.Events, At: change.Now, Payload: []byte("{}")}
			return nil
		}))
	}
	reached, finished := make(chan struct{}), make(chan struct{})
	delivered := 0
	relay := must.Get(outbox.New(events, sink, outbox.Options{
		Batch: 16, MinBackoff: 10 * time.Millisecond, MaxPause: 100 * time.Millisecond, MaxBackoff: time.Second,
		Observe: func(o outbox.Outcome) {
			if o.Status != store.StatusDelivered {
				return
			}
			switch delivered++; delivered {
			case cards * each / 4:
				close(reached)
			case cards * each:
				close(finished)
			}
		},
	}))(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
	stopped := make(chan error)
	go func() { stopped <- relay.Run(ctx) }()
	<-reached
	stop(first)
	second := run(t, dir, port, nil)
	select {
	case <-finished:
	case <-ctx.Done():
		t.Errorf("not everything arrived: %+v", relay.State())
	}
	cancel()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	stats, err := events.Stats(t.Context())
	if err != nil || stats.Waiting != 0 || stats.Parked != 0 {
		t.Errorf("%+v, %v", stats, err)
	}
	messages := stored(t, second.ClientURL(), "CARD_CVV")
	if len(messages) != cards*each {
		t.Errorf("%d messages for %d events", len(messages), cards*each)
	}
	inOrder(t, ids(messages), cards*each)
}
