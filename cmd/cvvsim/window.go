package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"cvvrotation/sim/timeline"
)

// window restricts what is reported and drawn. It does not restrict what is
// replayed: a decision depends on all earlier events of its card.
type window struct {
	cards    []string // empty: all
	from, to string   // RFC 3339, both included; empty: no bound

	start, end time.Time
}

func (w *window) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&w.cards, "card", nil, "")
	cmd.Flags().StringVar(&w.from, "from", "", "")
	cmd.Flags().StringVar(&w.to, "to", "", "")
	for _, flag := range []string{"card", "from", "to"} {
		mustComplete(cmd, flag, cobra.NoFileCompletions)
	}
}

// check reads the instants.
func (w *window) check() (err error) {
	for _, bound := range []struct {
		flag, text string
		at         *time.Time
	}{{"from", w.from, &w.start}, {"to", w.to, &w.end}} {
		if bound.text == "" {
			continue
		}
		if *bound.at, err = timeline.ParseInstant(bound.text); err != nil {
			return fmt.Errorf("--%s %q is not an RFC 3339 instant such as 2026-11-30T00:00:00Z", bound.flag, bound.text)
		}
	}
	if !w.start.IsZero() && !w.end.IsZero() && w.end.Before(w.start) {
		return fmt.Errorf("--to %s is before --from %s", w.to, w.from)
	}
	return nil
}

// includes reports whether the entry is reported.
func (w *window) includes(e timeline.Entry) bool {
	at := e.Event.At()
	return (len(w.cards) == 0 || slices.Contains(w.cards, e.Card)) &&
		(w.start.IsZero() || !at.Before(w.start)) && (w.end.IsZero() || !at.After(w.end))
}

// nothingChosen says why nothing is reported of a file that has events.
const nothingChosen = "no event is of the chosen cards and time"

// restricted reports whether anything is left out.
func (w *window) restricted() bool { return len(w.cards) > 0 || w.from != "" || w.to != "" }
