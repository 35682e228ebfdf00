package sqlite

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/engine/storetest"
)

func TestStore_MeetsTheContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T, clk clock.Clock) (store.Store, func() store.Store) {
		path := filepath.Join(t.TempDir(), "cards.db")
		reopen := func() store.Store { return mustOpen(t, path, clk) }
		return reopen(), reopen
	})
}

// slow matches a step that reads a whole table, or sorts.
var slow = regexp.MustCompile(`^SCAN (card|event|answer)$|TEMP B-TREE FOR ORDER BY`)

// Every query except that of IDsTooFarAhead finds its rows by an index, in order.
func TestQueryPlans_UseIndexes(t *testing.T) {
	s := mustOpen(t, tempFile(t), nil)
	for _, query := range []string{
		selectCard, selectDue, insertCard, updateCard, selectAnswer, upsertAnswer, insertEvent,
		markDelivered, markFailed, requeue, deleteUndelivered, deleteExpiredAnswers, deleteDeliveredEvents, selectWaiting, selectEvents,
		selectCards, selectFailing, selectNextDue, countDue, selectStats,
		selectTooFarAhead,
	} {
		t.Run(query, func(t *testing.T) {
			steps := 0
			if err := s.writer.query(t.Context(), func(r *row) error {
				steps++
				if step := r.values[3].(string); query != selectTooFarAhead && slow.MatchString(step) {
					t.Errorf("%s\nhas the step %s", query, step)
				}
				return nil
			}, "EXPLAIN QUERY PLAN "+query, make([]any, strings.Count(query, "?"))...); err != nil {
				t.Fatalf("%s: %v", query, err)
			}
			if steps == 0 && query != insertCard && query != insertEvent && query != upsertAnswer {
				t.Errorf("%s\nhas no plan", query)
			}
		})
	}
}
