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

	"cvvrotation/internal/must"
	"cvvrotation/rotation"
	"cvvrotation/rotation/service/postgres/pgtest"
	"cvvrotation/sim/check"
	"cvvrotation/sim/check/checktest"

	"github.com/jackc/pgx/v5"
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
				if _, err := db.Exec("UPDATE cards SET version = version"); err != nil {
					t.Errorf("a new process cannot write: %v", err)
				}
				if err := db.QueryRow("SELECT version, (SELECT count(*) FROM outbox) FROM cards").Scan(&e.Rotations, &e.Events); err != nil {
					t.Error(err)
				}
				e.Acted = int(told.Load())
				return e
			},
		}
	})
}

func always(e rotation.Event) func(rotation.State, sql.NullInt64) (rotation.Event, bool) {
	return func(rotation.State, sql.NullInt64) (rotation.Event, bool) { return e, true }
}

// issuers puts the service behind the interface of package check: a card in its table
// for each card of a search.
type issuers struct {
	db    *sql.DB
	cards atomic.Int64
}

func (s *issuers) Guard() int64 { return int64(rotation.DefaultGuard) }

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

// crashTracer calls crash for pgx, as the documentation of checktest.Crash says.
type crashTracer struct {
	crash func(where string, disconnect func())
}

func (t crashTracer) TraceQueryStart(ctx context.Context, c *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	t.crash("before "+d.SQL, func() { c.PgConn().Conn().Close() })
	return ctx
}

func (t crashTracer) TraceQueryEnd(_ context.Context, c *pgx.Conn, d pgx.TraceQueryEndData) {
	t.crash("after "+d.CommandTag.String(), func() { c.PgConn().Conn().Close() })
}

func TestIssuerOnPGX_SurvivesCrashes(t *testing.T) {
	checktest.Crash(t, func(t *testing.T, crash func(where string, disconnect func())) checktest.Operation {
		ctx := t.Context()
		url := pgtest.Start(t)
		config := must.Get(pgx.ParseConfig(url))(t)
		config.Tracer = crashTracer{crash}
		connect := func(config *pgx.ConnConfig) *pgx.Conn {
			conn := must.Get(pgx.ConnectConfig(ctx, config))(t)
			t.Cleanup(func() { conn.Close(context.Background()) })
			return conn
		}
		conn := connect(config)
		must.Get(conn.Exec(ctx, "CREATE TABLE cards (version int); CREATE TABLE outbox (version int); INSERT INTO cards VALUES (0)"))(t)
		const publish = "INSERT INTO outbox SELECT version FROM cards"
		return checktest.Operation{
			Do: func() error {
				err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
					_, err := tx.Exec(ctx, "UPDATE cards SET version = version + 1")
					if err == nil && planted != eventOutside {
						_, err = tx.Exec(ctx, publish)
					}
					return err
				})
				if err == nil && planted == eventOutside {
					_, err = conn.Exec(ctx, publish)
				}
				return err
			},
			Found: func() (e checktest.Effects) {
				config.Tracer = nil
				row := connect(config).QueryRow(ctx, "SELECT version, (SELECT count(*) FROM outbox) FROM cards")
				if err := row.Scan(&e.Rotations, &e.Events); err != nil {
					t.Error(err)
				}
				return e
			},
		}
	})
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
		{eventOutside, "TestIssuerOnPGX_SurvivesCrashes", "the process died after COMMIT: 1 rotations in the database, 0 events"},
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
