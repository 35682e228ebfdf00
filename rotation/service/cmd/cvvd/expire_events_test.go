package main

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/internal/must"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/sqlite"
)

// The log says so before and after. Younger events are delivered once a sink is
// configured.
func TestExpireEvents_DeletesOldUndeliveredEventsWithoutSink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, events := filepath.Join(dir, "cvvd.db"), filepath.Join(dir, "events.jsonl")
	clk := clock.NewMock()
	clk.Set(time.Now())
	s := must.Get(sqlite.Open(context.Background(), path, sqlite.Options{Clock: clk}))(t)
	now := clk.Now()
	for _, c := range []struct {
		id  string
		ago time.Duration
	}{{"old", 49 * time.Hour}, {"older", 48*time.Hour + time.Minute}, {"recent", 47 * time.Hour}} {
		clk.Set(now.Add(-c.ago))
		must.Do(t, s.Update(context.Background(), c.id, "", func(change *store.Change) error {
			payload, err := json.Marshal(map[string]string{"id": c.id + ".1"})
			change.Event = &store.Event{Card: c.id, Number: 1, At: change.Now, Payload: payload}
			return err
		}))
	}
	must.Do(t, s.Close())
	env := settings(t, "CVVD_STORE_PATH="+path, "CVVD_ENGINE_KEEP_EVENTS=48h", "CVVD_ENGINE_SWEEP=1s")

	p := start(t, env, "serve").serving()
	p.wait(p.log, `no event sink configured: undelivered events.*"keep_events":"48h`)
	p.wait(p.log, `deleted undelivered events.*"events":2`)
	must.Do(t, p.end(syscall.SIGTERM))
	if got := operator(t, env, "events", "tail"); strings.Count(got, "\n") != 1 || !strings.Contains(got, `"status":"waiting"`) || !strings.Contains(got, "recent.1") {
		t.Errorf("kept: %s", got)
	}

	p = start(t, append(env, "CVVD_EVENTS_SINK=jsonl", "CVVD_EVENTS_FILE="+events), "serve").serving()
	until(t, "the event is delivered", func() bool {
		return strings.Contains(operator(t, env, "events", "tail"), `"status":"delivered"`)
	})
	must.Do(t, p.end(syscall.SIGTERM))
}
