package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/jackc/pgx/v5"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/postgres"
	"cvvrotation/rotation/service/postgres/pgtest"
	"cvvrotation/sim/must"
)

// settings returns the environment of a daemon: an empty configuration file, a sealing
// key and token signing keys.
func settings(t *testing.T, more ...string) []string {
	t.Helper()
	dir := t.TempDir()
	put := func(name, text string) string {
		name = filepath.Join(dir, name)
		must.Do(t, os.WriteFile(name, []byte(text), 0o600))
		return name
	}
	return append([]string{
		"HOME=" + dir,
		"CVVD_CONFIG=" + put("cvvd.toml", ""),
		"CVVD_KEYS_SEALING_FILE=" + put("sealing.keys", "1:"+base64.StdEncoding.EncodeToString(make([]byte, 32))),
		"CVVD_LISTEN_PCI=127.0.0.1:0", "CVVD_LISTEN_OPS=127.0.0.1:0",
		"CVVD_AUTH_ISSUER=" + issuer, "CVVD_AUTH_AUDIENCE=cvv", "CVVD_AUTH_ALGORITHMS=EdDSA",
		"CVVD_AUTH_JWKS_FILE=" + put("jwks.json", jwks(t)),
		"CVVD_STORE_PATH=" + filepath.Join(dir, "cvvd.db"),
	}, more...)
}

// Three daemons share a database in which all cards are due; one of them is killed
// meanwhile. Every rotation has its event, and every event is delivered.
func TestServe_ReplicasRotateEachDueCardOnce(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a PostgreSQL and three daemons")
	}
	const cards = 4000
	ctx := context.Background()
	url := pgtest.Start(t)
	env := settings(t, "CVVD_STORE_KIND=postgres", "CVVD_STORE_URL="+url, "CVVD_ENGINE_BATCH=40", "CVVD_ENGINE_WORKERS=2", "CVVD_EVENTS_SINK=jsonl", "CVVD_EVENTS_FILE=-")

	// The daemon refuses a database without a schema, with a hint.
	early := start(t, env, "serve")
	<-early.done
	if exitCode(early.err) != command.ExitFailed || !strings.Contains(early.log.String(), "hint: run cvvd migrate") {
		t.Fatalf("%v: %s", early.err, early.log)
	}
	operator(t, env, "migrate")

	// The cards were registered half an hour ago and have been due for 20 minutes.
	then := clock.NewMock()
	then.Set(time.Now().Add(-30 * time.Minute).Truncate(time.Microsecond))
	past := must.Get(postgres.Open(ctx, url, postgres.Options{Clock: then}))(t)
	defer past.Close()
	first := then.Now().UTC().Add(10 * time.Minute)
	enrol(t, past, cards, first)
	s := must.Get(postgres.Open(ctx, url, postgres.Options{}))(t)
	defer s.Close()

	// No daemon can claim cards before all have started.
	conn := must.Get(pgx.Connect(ctx, url))(t)
	defer conn.Close(ctx)
	held := must.Get(conn.Begin(ctx))(t)
	must.Get(held.Exec(ctx, "LOCK TABLE cards IN EXCLUSIVE MODE"))(t)
	var replicas [3]*process
	for i := range replicas {
		replicas[i] = start(t, env, "serve").serving()
	}
	must.Do(t, held.Rollback(ctx))
	rotated := func(p *process) int {
		_, metrics := p.get(p.ops + "/metrics")
		n := 0
		for _, m := range regexp.MustCompile(`(?m)^cvv_rotations_total\{.*\} (\d+)$`).FindAllStringSubmatch(metrics, -1) {
			more, _ := strconv.Atoi(m[1])
			n += more
		}
		return n
	}
	until(t, "the first has begun", func() bool { return rotated(replicas[0]) > 0 })
	replicas[0].end(syscall.SIGKILL)

	until(t, "all are rotated and delivered", func() bool {
		stats := must.Get(s.Stats(ctx))(t)
		return stats.Backlog == 0 && stats.Waiting == 0
	})
	shares := []int{rotated(replicas[1]), rotated(replicas[2])}
	if shares[0] == 0 || shares[1] == 0 {
		t.Errorf("the backlog was not shared: %v", shares)
	}
	t.Logf("rotated by the two that live: %v of %d", shares, cards)
	for _, p := range replicas[1:] {
		if err := p.end(syscall.SIGTERM); err != nil {
			t.Errorf("ended with %v", err)
		}
	}

	// Every card was rotated once, for one slot, and its event says so.
	for after := ""; ; {
		page := must.Get(s.ListCards(ctx, after, 1000))(t)
		if len(page) == 0 {
			break
		}
		for _, c := range page {
			after = c.ID
			if c.Version != 2 || c.Events != 2 || !c.Next.Equal(first.Add(interval)) || c.Failures != 0 {
				t.Fatalf("card %s has version %d, %d events, next %v, want 2, 2, %v", c.ID, c.Version, c.Events, c.Next, first.Add(interval))
			}
		}
	}
	delivered := map[string]int64{} // by card: the newest event's number
	times := map[string]int{}       // by event
	for _, p := range replicas {
		for line := range strings.Lines(p.out.String()) {
			e, err := event.Parse([]byte(strings.TrimSuffix(line, "\n")))
			if err != nil {
				if p == replicas[0] && !strings.HasSuffix(line, "\n") {
					continue // killed while it wrote
				}
				t.Fatalf("%s: %v", line, err)
			}
			if e.Number > delivered[e.Card]+1 {
				t.Errorf("card %s: event %d came after %d", e.Card, e.Number, delivered[e.Card])
			}
			delivered[e.Card] = max(delivered[e.Card], e.Number)
			times[fmt.Sprint(e.Card, e.Number)]++
			if e.Number == 2 && (e.Operation != event.OperationRotate || !e.Automatic || e.Version != 2) {
				t.Errorf("%+v", e)
			}
		}
	}
	if len(times) != 2*cards {
		t.Errorf("%d different events were delivered, want %d", len(times), 2*cards)
	}
	log := map[string]bool{}
	for after := int64(0); ; {
		page := must.Get(s.ListEvents(ctx, after, 1000))(t)
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			after = e.Position
			if log[e.ID()] || e.Status != store.StatusDelivered {
				t.Fatalf("event %s is in the log twice, or %v", e.ID(), e.Status)
			}
			log[e.ID()] = true
		}
	}
	if len(log) != 2*cards {
		t.Errorf("%d events in the log, want %d", len(log), 2*cards)
	}
}

const interval = time.Hour

// enrol registers the cards, all with the same first slot.
func enrol(t *testing.T, s store.Store, cards int, first time.Time) {
	t.Helper()
	ctx := context.Background()
	keys := must.Get(seal.NewKeyring(seal.NewKey(1, make([]byte, seal.KeySize))))(t)
	e := must.Get(engine.New(s, engine.Random(nil, keys), engine.Options{}))(t)
	var wait sync.WaitGroup
	for worker := range 8 {
		wait.Go(func() {
			for i := worker; i < cards; i += 8 {
				_, _, err := e.Register(ctx, engine.Ref{Card: fmt.Sprintf("card-%05d", i), Account: "acme"},
					engine.RegisterRequest{Schedule: engine.IntervalRequest{Interval: interval, First: first}})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
	if t.Failed() {
		t.FailNow()
	}
}
