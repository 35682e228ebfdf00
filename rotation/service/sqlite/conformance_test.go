package sqlite

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/engine/storetest"
	"cvvrotation/sim/must"
)

// A card's settled events come from their index, in order. Those that wait are scanned,
// by the index of waiting events, and sorted.
func TestQueryPlans_CardEventsUseTheirIndex(t *testing.T) {
	s := mustOpen(t, tempFile(t), nil)
	var steps []string
	must.Do(t, s.writer.query(t.Context(), func(r *row) error {
		steps = append(steps, r.values[3].(string))
		return nil
	}, "EXPLAIN QUERY PLAN "+selectCardEvents, "card", int64(7), int64(20)))
	plan := strings.Join(steps, "\n")
	for _, want := range []string{"SEARCH event USING INDEX event_card (card=? AND number<?)", "SCAN event USING INDEX event_waiting"} {
		if !strings.Contains(plan, want) {
			t.Errorf("no step %q in\n%s", want, plan)
		}
	}
}

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
