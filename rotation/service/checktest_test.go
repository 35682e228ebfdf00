package service_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim/check"
	"cvvrotation/sim/check/checktest"
	"cvvrotation/sim/must"
)

// planted is the fault that TestChecktest_FindsPlantedFaults sets in a child process.
var planted = fault(os.Getenv("ISSUER_FAULT"))

func TestIssuer_FollowsTheRules(t *testing.T) {
	db := must.Get(sql.Open("sqlite", ":memory:"))(t)
	defer db.Close()
	db.SetMaxOpenConns(1)
	must.Get(db.Exec(issuerSchema))(t)
	checktest.Run(t, &issuers{db: db}, checktest.Options{Depth: 2, Seeds: 20})
}

func TestIssuer_SurvivesCrashes(t *testing.T) {
	checktest.Crash(t, func(t *testing.T, crash func(where string, disconnect func())) checktest.Operation {
		db := must.Get(checktest.OpenDB("sqlite", filepath.Join(t.TempDir(), "cards.db"), crash))(t)
		t.Cleanup(func() { db.Close() })
		must.Get(db.Exec(issuerSchema + "; INSERT INTO cards (id) VALUES ('A')"))(t)
		var told atomic.Int64
		s := &issuer{db: db, now: time.Now, tell: func(string) { told.Add(1) }, fault: planted}
		return checktest.Operation{
			Do: func() error {
				_, _, err := s.apply(t.Context(), "A", always(rotation.Forced(time.Now())))
				return err
			},
			Found: func() (e checktest.Effects) {
				must.Get(db.Exec("UPDATE cards SET version = version"))(t) // the dead process holds no lock
				must.Do(t, db.QueryRow("SELECT version, (SELECT count(*) FROM outbox) FROM cards").Scan(&e.Rotations, &e.Events))
				e.Acted = int(told.Load())
				return e
			},
		}
	})
}

func always(e rotation.Event) func(rotation.State) (rotation.Event, bool) {
	return func(rotation.State) (rotation.Event, bool) { return e, true }
}

// issuers puts the service behind the interface of package check: a card in its table
// for each card of a search.
type issuers struct {
	db    *sql.DB
	cards atomic.Int64
}

// Rules implements [check.System]: the rules that the service must have, a constant. The
// zero value is a guard of 2 minutes from the previous request.
func (s *issuers) Rules() rotation.Rules { return rotation.Rules{} }

// NewCard implements [check.System]. Several goroutines call it: each card has an id and a
// clock of its own.
func (s *issuers) NewCard() check.Card {
	c := &issuerCard{id: fmt.Sprint(s.cards.Add(1))}
	c.issuer = &issuer{db: s.db, now: func() time.Time { return c.clock }, tell: func(string) {}, fault: planted}
	if _, err := s.db.Exec("INSERT INTO cards (id, state) VALUES (?, ?)", c.id, rotation.State{}.String()); err != nil {
		panic(err)
	}
	return c
}

type issuerCard struct {
	*issuer
	id    string
	clock time.Time
}

var _ check.Poller = (*issuerCard)(nil) // a Poll with another signature would be ignored

func (c *issuerCard) Apply(e check.Event) check.Outcome {
	return check.OutcomeOf(c.apply(context.Background(), c.id, always(e.Rotation())))
}

func (c *issuerCard) Poll(now int64) func() (check.Outcome, bool) {
	c.clock = time.Unix(0, now)
	if found, err := c.due(context.Background(), c.id); err == nil && !found {
		return nil
	}
	return func() (check.Outcome, bool) {
		d, after, err := c.rotateDue(context.Background(), c.id)
		return check.OutcomeOf(d, after, err), !errors.Is(err, errNothingDue)
	}
}

func (c *issuerCard) state() (state rotation.State) {
	if err := c.db.QueryRow("SELECT state FROM cards WHERE id = ?", c.id).Scan(&state); err != nil {
		panic(err)
	}
	return state
}

func (c *issuerCard) View() check.View { return check.ViewOf(c.state()) }

func (c *issuerCard) AppendStored(b []byte) []byte { return append(b, c.state().String()...) }

// Restore writes all that View and the poller's query read.
func (c *issuerCard) Restore(stored []byte) error {
	var state rotation.State
	if err := state.Scan(stored); err != nil {
		return err
	}
	tx, err := c.db.Begin()
	if err != nil {
		return err
	}
	return errors.Join(storeState(context.Background(), tx, c.id, state, false), tx.Commit())
}

// Each fault fails the issuer's tests, which are one call each, with an explanation.
func TestChecktest_FindsPlantedFaults(t *testing.T) {
	if planted != "" {
		t.Skip("this is a child process")
	}
	for _, test := range []struct {
		fault fault
		test  string
		want  string
	}{
		{inclusiveGuard, "TestIssuer_FollowsTheRules", "2026-11-22T15:02:00Z  A  forced        => rotate=true reschedule=true reason=scheduled"},
		{roundedSlot, "TestIssuer_FollowsTheRules", "as a column rounds it. Apply what State.Due returns"},
		{unslottedPollers, "TestIssuer_FollowsTheRules", "Then another poller rotated the card again"},
		{rotateBeforePersist, "TestIssuer_SurvivesCrashes", "the process died before UPDATE cards SET: 0 rotations in the database, 0 events, acted 1 times"},
		{eventOutside, "TestIssuer_SurvivesCrashes", "the process died after COMMIT: 1 rotations in the database, 0 events, acted 0 times"},
	} {
		t.Run(string(test.fault)+"/"+test.test, func(t *testing.T) {
			child := exec.Command(os.Args[0], "-test.run=^"+test.test+"$")
			child.Env = append(os.Environ(), "ISSUER_FAULT="+string(test.fault))
			out, err := child.CombinedOutput()
			if err == nil || !strings.Contains(string(out), test.want) {
				t.Errorf("%v, want a failure with %q:\n%s", err, test.want, out)
			}
		})
	}
}
