package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/spf13/cobra"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation"
	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/audit"
	"cvvrotation/rotation/service/cmd/cvvd/config"
	"cvvrotation/sim/timeline"
)

const logPage = 500

func (c *cli) eventsCommand() *cobra.Command {
	return command.Group("events", c.tailCommand(), c.replayCommand())
}

func (c *cli) tailCommand() *cobra.Command {
	var f configFlags
	var o tailOptions
	cmd := &cobra.Command{
		Use:  "tail",
		Args: command.Exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.after < 0 {
				return command.Refuse("use --after 0 for all events", "--after: must not be negative")
			}
			if o.output != "json" && o.output != "timeline" {
				return command.Refuse("use json or timeline", "-o %s: unknown output", o.output)
			}
			ctx, stop := c.interruptible(cmd.Context())
			defer stop()
			return c.withStore(ctx, &f, func(_ *config.Config, s store.Store) error {
				return c.tail(ctx, s, o)
			})
		},
	}
	f.add(cmd)
	cmd.Flags().Int64Var(&o.after, "after", 0, "")
	cmd.Flags().StringVar(&o.card, "card", "", "")
	cmd.Flags().BoolVarP(&o.follow, "follow", "f", false, "")
	cmd.Flags().StringVarP(&o.output, "output", "o", "json", "")
	return cmd
}

type tailOptions struct {
	after  int64  // a position
	card   string // "": all
	follow bool
	output string // json or timeline
}

// line is an event in the output of tail.
type line struct {
	Position int64           `json:"position"`
	Status   string          `json:"status"`
	Attempts int             `json:"attempts"`
	Failure  string          `json:"failure,omitempty"`
	Event    json.RawMessage `json:"event"`
}

// tail prints events. With follow it polls for more each second until ctx ends.
func (c *cli) tail(ctx context.Context, s store.Store, o tailOptions) error {
	out := bufio.NewWriter(c.Stdout)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	entries := entryWriter{out: out}
	next := allEvents(s, o.after)
	if o.card != "" {
		next = cardEvents(s, o.card, o.after)
	}
	ticker := clock.New().Ticker(time.Second)
	defer ticker.Stop()
	for {
		events, err := next(ctx)
		if o.follow && ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		for _, e := range events {
			if o.output == "timeline" {
				changed, err := event.Parse(e.Payload)
				if err == nil {
					err = entries.write(changed, e.Position)
				}
				if err != nil {
					return errors.Join(err, out.Flush())
				}
				continue
			}
			if err := enc.Encode(line{e.Position, e.Status.String(), e.Attempts, e.Failure, e.Payload}); err != nil {
				return err
			}
		}
		if err := out.Flush(); err != nil {
			return err
		}
		if len(events) > 0 {
			continue
		}
		if !o.follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// allEvents returns a function that returns the next events after a position, in the
// order of positions.
func allEvents(s store.Store, after int64) func(context.Context) ([]store.Queued, error) {
	return func(ctx context.Context) ([]store.Queued, error) {
		events, err := s.ListEvents(ctx, after, logPage)
		if len(events) > 0 {
			after = events[len(events)-1].Position
		}
		return events, err
	}
}

// cardEvents is allEvents for one card. The store lists these newest first, so the first
// call collects all that are kept.
func cardEvents(s store.Store, card string, after int64) func(context.Context) ([]store.Queued, error) {
	return func(ctx context.Context) ([]store.Queued, error) {
		var found []store.Queued
		for before := int64(math.MaxInt64); ; {
			page, err := s.ListCardEvents(ctx, card, before, logPage)
			if err != nil {
				return nil, err
			}
			for _, e := range page {
				if e.Position > after {
					found = append(found, e)
				}
				before = e.Number
			}
			if len(page) < logPage || page[len(page)-1].Position <= after {
				break
			}
		}
		slices.Reverse(found)
		if len(found) > 0 {
			after = found[len(found)-1].Position
		}
		return found, nil
	}
}

// entryWriter writes events as a timeline that expects what they report.
type entryWriter struct {
	out   *bufio.Writer
	to    *timeline.Writer // nil before the first event
	rules rotation.Rules   // of the first event
}

func (w *entryWriter) write(c event.Changed, position int64) error {
	if w.to == nil {
		w.to, w.rules = timeline.NewWriter(w.out, timeline.SpellingText, c.Rules), c.Rules
	}
	if c.Rules != w.rules {
		return command.Hint(fmt.Errorf("position %d: the rules changed to %s, and a timeline has one set of rules", position, c.Rules),
			fmt.Sprintf("cvvd events tail --after %d prints the rest", position-1))
	}
	return w.to.Write(timeline.DaemonEntry(c))
}

func (c *cli) replayCommand() *cobra.Command {
	var f configFlags
	var from, to int64
	cmd := &cobra.Command{
		Use:  "replay",
		Args: command.Exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			set := cmd.Flags().Changed
			if !set("from") || !set("to") || from < 1 || to < from {
				return command.Refuse("run cvvd events tail for positions", "--from and --to are required: the first and the last position, from 1")
			}
			return c.withStore(cmd.Context(), &f, func(cfg *config.Config, s store.Store) error {
				var n int64
				err := c.audited(cmd.Context(), cfg, audit.OperationReplayEvents, false, func(r *audit.Record) (err error) {
					n, err = s.Requeue(cmd.Context(), from, to)
					r.Detail = fmt.Sprintf("positions %d to %d: %s", from, to, count(n, "event"))
					return err
				})
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(c.Stdout, "requeued %s\n", count(n, "event"))
				return err
			})
		},
	}
	f.add(cmd)
	cmd.Flags().Int64Var(&from, "from", 0, "")
	cmd.Flags().Int64Var(&to, "to", 0, "")
	return cmd
}
