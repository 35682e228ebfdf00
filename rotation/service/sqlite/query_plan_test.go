package sqlite

import (
	"regexp"
	"testing"

	"github.com/benbjohnson/clock"
)

// slow is a step that reads a whole table, or sorts.
var slow = regexp.MustCompile(`^SCAN (card|event|answer)$|TEMP B-TREE FOR ORDER BY`)

// Every query but Ahead's finds its rows by an index, and in their order.
func TestPlans(t *testing.T) {
	s := mustOpen(t, tempFile(t), clock.NewMock())
	for _, query := range []string{
		selectCard, selectDue, insertCard, updateCard, selectAnswer, upsertAnswer, insertEvent,
		delivered, failed, replay, expire, pruneAnswers, pruneEvents, selectPending, selectLog,
		selectCards, selectFailing, selectNextDue, countDue, selectStats,
		selectAhead,
	} {
		steps := 0
		if err := s.writer.query(t.Context(), func(r *row) error {
			steps++
			if step := r.values[3].(string); query != selectAhead && slow.MatchString(step) {
				t.Errorf("%s\nhas the step %s", query, step)
			}
			return nil
		}, "EXPLAIN QUERY PLAN "+query, make([]any, 20)...); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		if steps == 0 && query != insertCard && query != insertEvent && query != upsertAnswer {
			t.Errorf("%s\nhas no plan", query)
		}
	}
}
