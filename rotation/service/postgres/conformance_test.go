package postgres

import (
	"strings"
	"testing"

	"github.com/benbjohnson/clock"
	"github.com/jackc/pgx/v5"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/engine/storetest"
	"cvvrotation/rotation/service/postgres/pgtest"
	"cvvrotation/sim/must"
)

func TestStore_MeetsTheContract(t *testing.T) {
	database := pgtest.Start(t)
	storetest.Run(t, func(t *testing.T, clk clock.Clock) (store.Store, func() store.Store) {
		url := migrated(t, database)
		reopen := func() store.Store { return open(t, url, Options{Clock: clk}) }
		return reopen(), reopen
	})
}

// Statements find rows by index or ctid, even if statistics are those of an empty
// table.
func TestQueryPlans_UseIndexes(t *testing.T) {
	s := open(t, migrated(t, pgtest.Start(t)), Options{})
	explain := func(sql string, args ...any) string {
		t.Helper()
		rows := must.Get(s.background.Query(t.Context(), "EXPLAIN "+sql, args...))(t)
		lines := must.Get(pgx.CollectRows(rows, pgx.RowTo[string]))(t)
		return strings.Join(lines, "\n")
	}
	plan := explain(claimSQL(1000), int64(0), nil)
	if !strings.Contains(plan, "Index Scan using cards_due") || strings.Contains(plan, "Sort") {
		t.Errorf("plan of a claim:\n%s", plan)
	}
	tids := newArray(27, 1, 6)
	tids.bytes(make([]byte, 6))
	versions := newArray(20, 1, 8)
	versions.int64(1)
	plan = explain(updateSQL("", 1<<2), 1, tids, versions)
	if !strings.Contains(plan, "Tid Scan") || strings.Contains(plan, "Seq Scan") {
		t.Errorf("plan of an update:\n%s", plan)
	}
	held := newArray(25, 1, 8)
	held.text("card")
	plan = explain(waitingSQL(256), int64(0), held)
	if !strings.Contains(plan, "Index Scan using outbox_pkey") || !strings.Contains(plan, "hashed SubPlan") || strings.Contains(plan, "Sort") {
		t.Errorf("plan of the scan for waiting events:\n%s", plan)
	}
	plan = explain(cardEventsSQL(20), "card", int64(7))
	if !strings.Contains(plan, "Index Scan Backward using settled_card") || strings.Contains(plan, "Seq Scan on settled") {
		t.Errorf("plan of a card's events:\n%s", plan)
	}
}
