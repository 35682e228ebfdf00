package webhook_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/webhook"
	"cvvrotation/sim/must"
)

func TestRelay_FailingReceiverGetsEverythingInOrder(t *testing.T) {
	const cards, each = 10, 20
	var mu sync.Mutex
	last := map[string]int64{}
	requests := 0
	done := make(chan struct{})
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		requests++
		switch {
		case requests%7 == 0:
			w.WriteHeader(http.StatusInternalServerError)
			return
		case requests%31 == 0:
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		case requests%43 == 0: // taken, and the answer is lost
			defer panic(http.ErrAbortHandler)
		}
		card, text, _ := strings.Cut(r.Header.Get("webhook-id"), "/")
		number, _ := strconv.ParseInt(text, 10, 64)
		if number > last[card]+1 {
			t.Errorf("%s: %d after %d", card, number, last[card])
		}
		last[card] = max(last[card], number)
		for c := range cards {
			if last[fmt.Sprintf("card-%d", c)] < each {
				return
			}
		}
		select {
		case <-done:
		default:
			close(done)
		}
	})
	s := memory.New(memory.Options{})
	for i := range cards * each {
		must.Do(t, s.Update(t.Context(), fmt.Sprintf("card-%d", i%cards), "", func(change *store.Change) error {
			change.Card.Version, change.Card.Events, change.Write = 1, change.Card.Events+1, true
			change.Event = &store.Event{Card: change.Card.ID, Number: change.Card.Events, At: change.Now, Payload: []byte("{}")}
			return nil
		}))
	}
	relay := must.Get(outbox.New(s, newSink(t, server.URL, webhook.Options{}), outbox.Options{
		MaxAttempts: 100, Batch: 32, MinBackoff: time.Millisecond, MaxBackoff: 20 * time.Millisecond, MaxPause: 20 * time.Millisecond,
	}))(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	stopped := make(chan error)
	go func() { stopped <- relay.Run(ctx) }()
	select {
	case <-done:
	case <-ctx.Done():
		t.Errorf("not everything arrived: %v", last)
	}
	cancel()
	must.Do(t, <-stopped)
}
