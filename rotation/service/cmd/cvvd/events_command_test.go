package main

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/sqlite"
	"cvvrotation/sim/must"
)

// TestEvents_SelectsAndReplaysParked: 1,200 events of an hour ago, some delivered, some
// dead-lettered, more than a page of each; and three of now.
func TestEvents_SelectsAndReplaysParked(t *testing.T) {
	ctx := context.Background()
	env := settings(t)
	clk := clock.NewMock()
	clk.Set(time.Now().Add(-time.Hour))
	s := must.Get(sqlite.Open(ctx, variable(t, env, "CVVD_STORE_PATH"), sqlite.Options{Clock: clk}))(t)
	add := func(card string) {
		must.Do(t, s.Update(ctx, card, "", func(change *store.Change) error {
			c := &change.Card
			c.Account, c.Version, c.Events = "acme", 1, c.Events+1
			change.Write, change.Event = true, &store.Event{Card: c.ID, Number: c.Events, At: change.Now, Payload: []byte("{}")}
			return nil
		}))
	}
	var outcomes []store.Delivery
	for i := range 1200 {
		add(fmt.Sprint("card-", i%3))
		outcomes = append(outcomes, store.Delivery{Position: int64(i + 1), Status: []store.Status{store.StatusDelivered, store.StatusParked}[i%2], Failure: "status 404"})
	}
	must.Do(t, s.RecordDeliveries(ctx, outcomes))
	clk.Set(time.Now())
	for range 3 {
		add("late")
	}
	must.Do(t, s.Close())
	cvvd := func(args ...string) (int, string, string) {
		var out, errs bytes.Buffer
		c := newCLI(strings.NewReader(""), &out, &errs, env)
		status := c.Execute(ctx, c.root(), args)
		return status, out.String(), errs.String()
	}
	positions := func(args ...string) (list []string) {
		t.Helper()
		status, out, errs := cvvd(append([]string{"events", "tail"}, args...)...)
		if status != 0 {
			t.Fatal(args, errs)
		}
		for _, m := range regexp.MustCompile(`(?m)^\{"position":(\d+),`).FindAllStringSubmatch(out, -1) {
			list = append(list, m[1])
		}
		return list
	}
	for _, test := range []struct {
		args        string
		n           int
		first, last string
	}{
		{"", 1203, "1", "1203"},
		{"--status parked", 600, "2", "1200"},
		{"--status delivered --after 1000", 100, "1001", "1199"},
		{"--status waiting", 3, "1201", "1203"},
		{"--since 30m", 3, "1201", "1203"},
		{"--since 2h", 1203, "1", "1203"},
		{"--since " + time.Now().Add(-time.Minute).Format(time.RFC3339), 3, "1201", "1203"},
		{"--last 2", 2, "1202", "1203"},
		{"--last 5000", 1203, "1", "1203"},
		{"--status parked --last 1", 1, "1200", "1200"},
		{"--card card-1 --status parked --last 2", 2, "1190", "1196"},
		{"--card late --status parked", 0, "", ""},
	} {
		t.Run(test.args, func(t *testing.T) {
			got := positions(strings.Fields(test.args)...)
			if len(got) != test.n || test.n > 0 && (got[0] != test.first || got[len(got)-1] != test.last) {
				t.Errorf("%d events, %.3q …", len(got), got)
			}
		})
	}
	for _, wrong := range []string{"tail --status lost", "tail --since yesterday", "tail --since -2h", "tail --last 0", "tail --last -1", "tail --status parked --follow", "replay", "replay --parked --from 1 --to 2", "replay --from 2 --to 1"} {
		if status, out, errs := cvvd(append([]string{"events"}, strings.Fields(wrong)...)...); status != command.ExitUsage || out != "" || !strings.Contains(errs, "hint: ") {
			t.Errorf("%s: status %d, %s", wrong, status, errs)
		}
	}
	if status, out, errs := cvvd("events", "replay", "--parked"); status != 0 || out != "requeued 600 events\n" {
		t.Error(status, out, errs)
	}
	if parked, waiting := positions("--status", "parked"), positions("--status", "waiting"); len(parked) != 0 || len(waiting) != 603 {
		t.Errorf("%d parked, %d waiting", len(parked), len(waiting))
	}
}
