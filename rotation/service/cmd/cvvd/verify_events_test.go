package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/service/sqlite"
	"cvvrotation/sim"
	"cvvrotation/sim/must"
	"cvvrotation/sim/timeline"
)

// TestEvents_OfADaemonAgreeWithTheRules: cards with a past, an outage of a day, a
// schedule that a clock step set, calls, a kill and a restart. The events in the file
// and those that "events tail" prints are all judged, and none differs.
func TestEvents_OfADaemonAgreeWithTheRules(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := t.TempDir()
	path, file := filepath.Join(dir, "cvvd.db"), filepath.Join(dir, "events.jsonl")
	clk := clock.NewMock()
	start0 := time.Now().Add(-50 * time.Hour)
	clk.Set(start0)
	keys := must.Get(seal.NewKeyring(seal.NewKey(1, make([]byte, seal.KeySize))))(t)
	s := must.Get(sqlite.Open(ctx, path, sqlite.Options{Clock: clk}))(t)
	e := must.Get(engine.New(s, engine.Random(nil, keys), engine.Options{}))(t)
	ref := func(card string) engine.Ref { return engine.Ref{Card: card, Account: "acme"} }
	register := func(card string, interval time.Duration) {
		must.Get(func() (bool, error) {
			_, made, err := e.Register(ctx, ref(card), engine.RegisterRequest{Schedule: engine.IntervalRequest{Interval: interval}})
			return made, err
		}())(t)
	}
	force := func(card string) { must.Get(e.Force(ctx, ref(card), engine.ForceRequest{}))(t) }
	register("hourly", time.Hour)
	register("daily", 24*time.Hour)
	register("off", 0)
	for hour := range 25 {
		clk.Set(start0.Add(time.Duration(hour+1)*time.Hour + time.Duration(hour)*time.Second)) // later each hour
		must.Get(e.Tick(ctx))(t)
		if hour%6 == 0 {
			force("hourly") // S1
			force("hourly") // S3
			force("off")
		}
	}
	clk.Set(start0.Add(30 * 24 * time.Hour)) // a clock step, which the daemon repairs
	register("stepped", time.Hour)
	must.Do(t, s.Close())

	env := settings(t, "CVVD_STORE_PATH="+path, "CVVD_ENGINE_SWEEP=1s", "CVVD_EVENTS_SINK=jsonl", "CVVD_EVENTS_FILE="+file)
	auth := token(t, "cards:register cvv:rotate cvv:schedule")
	p := start(t, env, "serve").serving()
	call := func(method, path, body string) {
		t.Helper()
		if status, answer := p.send(method, p.pci+path, auth, body); status >= 300 {
			t.Fatal(status, answer)
		}
	}
	call("PUT", "/v1/cards/new", `{"cvv_rotation_interval_hours":24,"spread":true}`)
	call("POST", "/v1/cards/new/cvv/rotate", "")
	call("PUT", "/v1/cards/new", `{"cvv_rotation_interval_hours":24,"spread":true}`) // again: no event
	call("PATCH", "/v1/cards/new/cvv/rotation", `{"cvv_rotation_interval_hours":2}`)
	call("POST", "/v1/cards/daily/cvv/rotate", "")
	until(t, "the step is repaired", func() bool {
		b, _ := os.ReadFile(file)
		return bytes.Contains(b, []byte(`"repaired":true`))
	})
	p.end(syscall.SIGKILL)
	p = start(t, env, "serve").serving()
	call("DELETE", "/v1/cards/new/cvv/rotation", "")
	call("POST", "/v1/cards/new/cvv/rotate", "")
	until(t, "all are delivered", func() bool {
		return !strings.Contains(operator(t, env, "events", "tail"), `"status":"waiting"`)
	})
	must.Do(t, p.end(syscall.SIGTERM))

	if got := operator(t, env, "events", "tail", "-o", "timeline", "--card", "off"); !strings.Contains(got, "  off  forced        => rotate=true reschedule=false reason=rotation_off") || strings.Contains(got, "hourly") {
		t.Errorf("the timeline of a card is\n%s", got)
	}
	must.Equal(t, operator(t, env, "events", "tail", "-o", "timeline", "--card", "hourly"), operator(t, env, "card", "history", "-o", "timeline", "hourly"))
	if got := operator(t, env, "card", "history", "stepped"); !strings.Contains(got, "next rotation repaired, it was more than one interval ahead (clock step)") {
		t.Errorf("the history of the repaired card is\n%s", got)
	}
	if got := operator(t, env, "card", "history", "hourly"); !strings.Contains(got, "slots missed, next ") {
		t.Errorf("the history of the card that the outage delayed is\n%s", got)
	}
	for name, log := range map[string]string{
		"file": string(must.Get(os.ReadFile(file))(t)),
		"tail": operator(t, env, "events", "tail"),
	} {
		t.Run(name, func(t *testing.T) {
			r := timeline.NewReader(strings.NewReader(log), name)
			v := sim.NewVerifier(must.Get(r.Rules())(t), sim.VerifierOptions{Recorded: true, IntervalUnit: time.Hour})
			judged := map[string]int{}
			for {
				entry, err := r.Next()
				if err == io.EOF {
					break
				}
				must.Do(t, err)
				switch f := must.Get(v.Apply(entry))(t); f.Verdict {
				case sim.VerdictAgrees:
					judged[entry.Card]++
				case sim.VerdictRepeated: // after the kill
				default:
					t.Errorf("line %d, card %s: verdict %d: %v %s", entry.Line, entry.Card, f.Verdict, f.Differences, f.Explanation)
				}
			}
			if judged["hourly"] < 30 || judged["daily"] < 3 || judged["off"] < 5 || judged["stepped"] < 2 || judged["new"] != 5 {
				t.Errorf("events judged by card: %v", judged)
			}
		})
	}
}
