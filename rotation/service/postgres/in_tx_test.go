package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/engine/storetest"
	"cvvrotation/rotation/service/postgres/pgtest"
	"cvvrotation/sim/must"
)

// inOwnTx is a store whose updates are transactions of a service's own pool.
type inOwnTx struct {
	*Store
	pool    *pgxpool.Pool
	options pgx.TxOptions
}

// Update begins a new transaction if the database refused the previous one, as a
// service would.
func (s inOwnTx) Update(ctx context.Context, id, key string, fn func(*store.Change) error) error {
	for {
		var cards *Tx
		err := pgx.BeginTxFunc(ctx, s.pool, s.options, func(tx pgx.Tx) error {
			cards = s.InTx(tx)
			return cards.Update(ctx, id, key, fn)
		})
		if err == nil {
			cards.Committed()
		}
		if refused := (*pgconn.PgError)(nil); !errors.As(err, &refused) || refused.Code != "40001" {
			return err
		}
	}
}

// ownPool opens a service's pool, in another schema that has a table cards, too.
func ownPool(t *testing.T, database string, mode pgx.QueryExecMode) *pgxpool.Pool {
	t.Helper()
	config := must.Get(pgxpool.ParseConfig(newSchema(database)))(t)
	config.ConnConfig.DefaultQueryExecMode = mode
	pool := must.Get(pgxpool.NewWithConfig(t.Context(), config))(t)
	t.Cleanup(pool.Close)
	schema := pgx.Identifier{config.ConnConfig.RuntimeParams["search_path"]}.Sanitize()
	for _, sql := range []string{"CREATE SCHEMA " + schema, "CREATE TABLE cards (id text, price int)"} {
		must.Get(pool.Exec(t.Context(), sql))(t)
	}
	return pool
}

// A store in transactions of a service's own meets the contract, also in a mode for
// poolers and at another isolation level.
func TestInTx_MeetsTheContract(t *testing.T) {
	database := pgtest.Start(t)
	for mode, level := range map[pgx.QueryExecMode]pgx.TxIsoLevel{
		pgx.QueryExecModeCacheStatement: pgx.ReadCommitted,
		pgx.QueryExecModeExec:           pgx.Serializable,
	} {
		t.Run(fmt.Sprint(mode, " ", level), func(t *testing.T) {
			pool := ownPool(t, database, mode)
			storetest.Run(t, func(t *testing.T, clk clock.Clock) (store.Store, func() store.Store) {
				url := migrated(t, database)
				reopen := func() store.Store {
					return inOwnTx{open(t, url, Options{Clock: clk}), pool, pgx.TxOptions{IsoLevel: level}}
				}
				return reopen(), reopen
			})
		})
	}
}

// Every mode returns what was stored.
func TestInTx_WorksInEveryMode(t *testing.T) {
	s := newService(t)
	for mode := pgx.QueryExecModeCacheStatement; mode <= pgx.QueryExecModeSimpleProtocol; mode++ {
		t.Run(mode.String(), func(t *testing.T) {
			tx := begin(t, ownPool(t, s.url, mode))
			cards := s.InTx(s.store.InTx(tx))
			_, _, err := cards.Register(t.Context(), ref("card"), daily)
			must.Do(t, err)
			for i := range 2 {
				r, err := cards.Force(t.Context(), ref("card"), engine.ForceRequest{Key: "k"})
				if err != nil || r.Version != 2 || r.Replayed != (i == 1) {
					t.Errorf("call %d: version %d, replayed %t, %v", i+1, r.Version, r.Replayed, err)
				}
			}
		})
	}
}

// service is a service with a table of its own, and an engine on a store in the same
// database.
type service struct {
	engine.NoObserver
	*engine.Engine
	store   *Store
	url     string
	pool    *pgxpool.Pool
	decided atomic.Int32 // what the observer was told
	events  atomic.Int32 // how often the relay was woken
}

// Decided implements engine.Observer.
func (s *service) Decided(engine.Observation) { s.decided.Add(1) }

func newService(t *testing.T) *service {
	t.Helper()
	database := pgtest.Start(t)
	s := &service{url: migrated(t, database), pool: ownPool(t, database, pgx.QueryExecModeCacheStatement)}
	s.store = open(t, s.url, Options{})
	keys := must.Get(seal.NewKeyring(seal.NewKey(1, bytes.Repeat([]byte{7}, seal.KeySize))))(t)
	s.Engine = must.Get(engine.New(s.store, engine.Random(nil, keys), engine.Options{Observer: s, Written: func() { s.events.Add(1) }}))(t)
	return s
}

// begin begins a transaction, or a savepoint in one.
func begin(t *testing.T, from interface {
	Begin(context.Context) (pgx.Tx, error)
}) pgx.Tx {
	t.Helper()
	tx := must.Get(from.Begin(t.Context()))(t)
	t.Cleanup(func() { tx.Rollback(context.Background()) })
	return tx
}

func ref(card string) engine.Ref { return engine.Ref{Card: card, Account: "acme"} }

var daily = engine.RegisterRequest{Schedule: engine.IntervalRequest{Interval: 24 * time.Hour}}

// state describes the service's rows, a card and its waiting events.
func (s *service) state(t *testing.T, card string) string {
	t.Helper()
	var rows int
	must.Do(t, s.pool.QueryRow(t.Context(), "SELECT count(*) FROM cards").Scan(&rows))
	_, events := pending(t, s.store)
	c, err := s.store.Card(t.Context(), card)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	return fmt.Sprintf("rows %d, version %d, interval %v, events %d", rows, c.Version, c.Interval, len(events))
}

func TestInTx_CommitsOrRollsBackWithTheServicesRows(t *testing.T) {
	s := newService(t)
	work := func(tx pgx.Tx) *engine.Tx {
		t.Helper()
		must.Get(tx.Exec(t.Context(), "INSERT INTO cards VALUES ('card', 5)"))(t)
		cards := s.InTx(s.store.InTx(tx))
		_, created, err := cards.Register(t.Context(), ref("card"), daily)
		if err != nil || !created {
			t.Fatal(created, err)
		}
		r, err := cards.Force(t.Context(), ref("card"), engine.ForceRequest{Key: "k"})
		if err != nil || r.Version != 2 || r.Replayed {
			t.Fatal(r, err)
		}
		must.Get(cards.SetInterval(t.Context(), ref("card"), engine.IntervalRequest{Interval: time.Hour}))(t)
		if _, err := cards.Force(t.Context(), ref("other"), engine.ForceRequest{}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a card that does not exist: %v", err)
		}
		if _, err := cards.Force(t.Context(), ref("card"), engine.ForceRequest{Key: "k", Compromised: true}); !errors.Is(err, engine.ErrKeyReused) {
			t.Errorf("a key for another request: %v", err)
		}
		savepoint := begin(t, tx)
		must.Get(s.InTx(s.store.InTx(savepoint)).Disable(t.Context(), ref("card")))(t)
		must.Do(t, savepoint.Rollback(t.Context()))
		return cards
	}
	tx := begin(t, s.pool)
	work(tx)
	must.Do(t, tx.Rollback(t.Context()))
	if got, want := s.state(t, "card"), "rows 0, version 0, interval 0s, events 0"; got != want {
		t.Errorf("after the rollback: %s; want %s", got, want)
	}
	tx = begin(t, s.pool)
	cards := work(tx)
	if got, want := s.state(t, "card"), "rows 0, version 0, interval 0s, events 0"; got != want {
		t.Errorf("before the commit: %s; want %s", got, want)
	}
	must.Do(t, tx.Commit(t.Context()))
	if got, want := s.state(t, "card"), "rows 1, version 2, interval 1h0m0s, events 3"; got != want {
		t.Errorf("after the commit: %s; want %s", got, want)
	}
	if r, err := s.Force(t.Context(), ref("card"), engine.ForceRequest{Key: "k"}); err != nil || !r.Replayed || r.Version != 2 {
		t.Errorf("the key after the commit: %+v, %v", r, err)
	}
	if s.decided.Load() != 0 || s.events.Load() != 0 {
		t.Errorf("before Committed: %d decisions were observed, %d wake-ups", s.decided.Load(), s.events.Load())
	}
	for range 2 { // the second call does nothing
		cards.Committed()
	}
	if s.decided.Load() != 3 || s.events.Load() != 3 {
		t.Errorf("after Committed: %d decisions were observed, %d wake-ups; want 3", s.decided.Load(), s.events.Load())
	}
	if _, err := cards.Disable(t.Context(), ref("card")); !errors.Is(err, pgx.ErrTxClosed) {
		t.Errorf("after the commit: %v", err)
	}
}

// A process that crashes between the commit and Committed loses nothing: others find
// the due card and the event.
func TestInTx_CrashBeforeCommittedLosesNothing(t *testing.T) {
	s := newService(t)
	tx := begin(t, s.pool)
	cards := s.store.InTx(tx)
	must.Do(t, cards.Update(t.Context(), "card", "", func(c *store.Change) error {
		c.Card.Version, c.Card.Account, c.Card.Interval, c.Write = 1, "acme", time.Hour, true
		c.Card.State, c.Card.Sealed, c.Card.Due = make([]byte, 38), make([]byte, 35), c.Now
		c.Event = &store.Event{Card: "card", Number: 1, At: c.Now, Payload: []byte("{}")}
		return nil
	}))
	must.Do(t, tx.Commit(t.Context()))
	for _, other := range []*Store{s.store, open(t, s.url, Options{})} {
		if due, ok, err := other.NextDue(t.Context()); err != nil || !ok || due.After(time.Now().Add(time.Minute)) {
			t.Errorf("next due %v, %t, %v", due, ok, err)
		}
		if got, _ := pending(t, other); got != "card" {
			t.Errorf("events of %q wait", got)
		}
	}
	if ids := claim(t, s.store, 10); len(ids) != 1 {
		t.Errorf("claimed %q", ids)
	}
}

// A transaction that began early and commits after later events were delivered holds
// back neither them nor its own events.
func TestInTx_RelayDeliversLateCommits(t *testing.T) {
	s := newService(t)
	s.store.timer = clock.NewMock() // no scan from position 0
	writeEvent(t, s.store, "first")
	deliver(t, s.store, "first")
	event := func(tx pgx.Tx, card string) {
		t.Helper()
		must.Do(t, s.store.InTx(tx).Update(t.Context(), card, "", func(c *store.Change) error {
			c.Card.Version, c.Card.Account, c.Write = 1, "acme", true
			c.Event = &store.Event{Card: card, Number: 1, At: c.Now}
			return nil
		}))
	}
	late := begin(t, s.pool)
	event(late, "late")
	savepoint := begin(t, late)
	event(savepoint, "later")
	must.Do(t, savepoint.Commit(t.Context()))
	savepoint = begin(t, late)
	event(savepoint, "never")
	must.Do(t, savepoint.Rollback(t.Context()))
	for range 5 {
		writeEvent(t, s.store, "early")
		deliver(t, s.store, "early")
	}
	must.Do(t, late.Commit(t.Context()))
	writeEvent(t, s.store, "early")
	deliver(t, s.store, "late later early")
	deliver(t, s.store, "")
}

// Claims leave out a card that a service's transaction holds, and so never wait for it;
// a transaction waits for a claim. Only two transactions can deadlock.
func TestInTx_DoesNotDeadlockWithClaims(t *testing.T) {
	s := newService(t)
	for _, card := range []string{"a", "b"} {
		putDue(t, s.store, card, time.Now().Add(-time.Hour))
	}
	tx := begin(t, s.pool)
	cards := s.store.InTx(tx)
	must.Do(t, cards.Update(t.Context(), "a", "", rotate))
	waits := make(chan error, 1)
	if n, err := s.store.Claim(t.Context(), 10, func(c *store.Change) error {
		go func() { waits <- cards.Update(context.Background(), "b", "", rotate) }()
		waitFor(t, s.url, "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
		return rotate(c)
	}); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	must.Do(t, <-waits)
	must.Do(t, tx.Commit(t.Context()))
	for card, want := range map[string]int64{"a": 2, "b": 3} {
		if c, err := s.store.Card(t.Context(), card); err != nil || c.Version != want {
			t.Errorf("%s has version %d, %v; want %d", card, c.Version, err, want)
		}
	}

	one, two := begin(t, s.pool), begin(t, s.pool)
	must.Do(t, s.store.InTx(one).Update(t.Context(), "a", "", rotate))
	must.Do(t, s.store.InTx(two).Update(t.Context(), "b", "", rotate))
	go func() {
		err := s.store.InTx(one).Update(context.Background(), "b", "", rotate)
		one.Rollback(context.Background())
		waits <- err
	}()
	err := s.store.InTx(two).Update(t.Context(), "a", "", rotate)
	two.Rollback(t.Context())
	if err = errors.Join(err, <-waits); code(err) != "40P01" {
		t.Errorf("two transactions in opposite orders: %v", err)
	}
}

// code returns the code with which the database refused a statement.
func code(err error) string {
	if refused := (*pgconn.PgError)(nil); errors.As(err, &refused) {
		return refused.Code
	}
	return ""
}

// Two transactions that register one card run one after the other.
func TestInTx_SecondInsertSeesTheFirst(t *testing.T) {
	for _, level := range []pgx.TxIsoLevel{pgx.ReadCommitted, pgx.RepeatableRead} {
		t.Run(string(level), func(t *testing.T) {
			s := newService(t)
			first := begin(t, s.pool)
			_, _, err := s.InTx(s.store.InTx(first)).Register(t.Context(), ref("card"), daily)
			must.Do(t, err)
			second := must.Get(s.pool.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: level}))(t)
			defer second.Rollback(t.Context())
			waits := make(chan string, 1)
			go func() {
				_, created, err := s.InTx(s.store.InTx(second)).Register(context.Background(), ref("card"), daily)
				waits <- fmt.Sprint(created, code(err))
			}()
			waitFor(t, s.url, "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
			must.Do(t, first.Commit(t.Context()))
			want := map[pgx.TxIsoLevel]string{pgx.ReadCommitted: "false", pgx.RepeatableRead: "false40001"}[level]
			if got := <-waits; got != want {
				t.Errorf("created %s, want %s", got, want)
			}
		})
	}
}

func TestInTx_RefusesOtherDatabasesAndTransactionsThatCannotWrite(t *testing.T) {
	s := newService(t)
	database := pgtest.Start(t)
	search := s.url[strings.Index(s.url, "&search_path="):]
	empty := connect(t, database)
	update := func(tx pgx.Tx) error {
		return s.store.InTx(tx).Update(t.Context(), "card", "", func(*store.Change) error {
			t.Error("the function was called")
			return nil
		})
	}
	tx := begin(t, empty)
	if err := update(tx); !errors.Is(err, ErrOtherDatabase) {
		t.Errorf("another database: %v", err)
	}
	must.Do(t, tx.Rollback(t.Context()))
	must.Do(t, Migrate(t.Context(), database+search, Options{}))
	if err := update(begin(t, empty)); !errors.Is(err, ErrOtherDatabase) {
		t.Errorf("another database with the same tables: %v", err)
	}

	readOnly := must.Get(s.pool.BeginTx(t.Context(), pgx.TxOptions{AccessMode: pgx.ReadOnly}))(t)
	defer readOnly.Rollback(t.Context())
	if err := update(readOnly); code(err) != "25006" {
		t.Errorf("a read-only transaction: %v", err)
	}
	if err := update(readOnly); err == nil || !strings.Contains(err.Error(), "roll it back") {
		t.Errorf("an aborted transaction: %v", err)
	}
	must.Do(t, readOnly.Rollback(t.Context()))
	ended := begin(t, s.pool)
	must.Get(ended.Exec(t.Context(), "COMMIT"))(t)
	if err := update(ended); !errors.Is(err, pgx.ErrTxClosed) {
		t.Errorf("a transaction that was ended by SQL: %v", err)
	}
}

// The commit waits for the disk, even if the session's would not.
func TestInTx_CommitIsDurable(t *testing.T) {
	s := newService(t)
	tx := begin(t, s.pool)
	must.Get(tx.Exec(t.Context(), "SET synchronous_commit = off"))(t)
	savepoint := begin(t, tx)
	must.Do(t, s.store.InTx(savepoint).Update(t.Context(), "card", "", func(*store.Change) error { return nil }))
	must.Do(t, savepoint.Rollback(t.Context()))
	must.Do(t, s.store.InTx(tx).Update(t.Context(), "card", "", func(*store.Change) error { return nil }))
	var level string
	must.Do(t, tx.QueryRow(t.Context(), "SHOW synchronous_commit").Scan(&level))
	if level != "on" {
		t.Errorf("synchronous_commit is %s, want on", level)
	}
}

// The role of the service's pool needs no more than the documented grants.
func TestInTx_NeedsFewGrants(t *testing.T) {
	s := newService(t)
	tx := begin(t, s.pool)
	role := strings.TrimSuffix(s.store.schema, ".")
	for _, sql := range []string{
		"CREATE ROLE role",
		"GRANT USAGE ON SCHEMA role TO role",
		"GRANT SELECT, INSERT, UPDATE ON role.cards, role.outbox, role.answers TO role",
		"GRANT SELECT ON role.migrations TO role",
		"SET LOCAL ROLE role",
	} {
		must.Get(tx.Exec(t.Context(), strings.ReplaceAll(sql, "role", role)))(t)
	}
	cards := s.InTx(s.store.InTx(tx))
	if _, _, err := cards.Register(t.Context(), ref("card"), daily); err != nil {
		t.Error(err)
	}
	must.Get(cards.Force(t.Context(), ref("card"), engine.ForceRequest{Key: "k"}))(t)
}

// A fingerprint that another card has refuses the card alone: the service's transaction
// continues, in every mode, and keeps what it did before and after.
func TestInTx_FingerprintOfAnotherCardLeavesTheTransactionUsable(t *testing.T) {
	s := newService(t)
	register := func(to store.Updater, id string, prints ...string) error {
		return to.Update(t.Context(), id, "", func(change *store.Change) error {
			change.Card.Version, change.Card.Account, change.Write = 1, "acme", true
			for _, p := range prints {
				change.Fingerprints = append(change.Fingerprints, []byte(p))
			}
			return nil
		})
	}
	must.Do(t, register(s.store, "holder", "taken"))
	for mode := pgx.QueryExecModeCacheStatement; mode <= pgx.QueryExecModeSimpleProtocol; mode++ {
		t.Run(mode.String(), func(t *testing.T) {
			tx := begin(t, ownPool(t, s.url, mode))
			cards := s.store.InTx(tx)
			first, refused, last := "first "+mode.String(), "refused "+mode.String(), "last "+mode.String()
			must.Do(t, register(cards, first, first))
			var taken *store.FingerprintError
			if err := register(cards, refused, refused, "taken"); !errors.As(err, &taken) || taken.Card != "holder" {
				t.Fatalf("%v", err)
			}
			must.Do(t, register(cards, last, last, refused)) // which the refused card did not get
			must.Do(t, tx.Commit(t.Context()))
			for id, want := range map[string]int{first: 1, refused: 0, last: 2} {
				prints := must.Get(s.store.Fingerprints(t.Context(), id))(t)
				_, err := s.store.Card(t.Context(), id)
				if len(prints) != want || (err == nil) != (want > 0) {
					t.Errorf("%s: %d fingerprints, want %d; %v", id, len(prints), want, err)
				}
			}
		})
	}
}
