package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
			if o.status != "" && o.follow { // each event is read once, and its status changes later
				return command.Refuse("leave --follow out, and repeat the command", "--status and --follow exclude each other")
			}
			if o.last < 1 && cmd.Flags().Changed("last") {
				return command.Refuse("use 1 or more", "--last: must be positive")
			}
			keep, err := o.filter(time.Now())
			if err != nil {
				return err
			}
			ctx, stop := c.interruptible(cmd.Context())
			defer stop()
			return c.withStore(ctx, &f, func(_ *config.Config, s store.Store) error {
				next := allEvents(s, o.after)
				if o.card != "" {
					next = cardEvents(s, o.card, o.after)
				}
				if next = next.only(keep); o.last > 0 {
					next = next.last(o.last)
				}
				return c.tail(ctx, next, o)
			})
		},
	}
	f.add(cmd)
	cmd.Flags().Int64Var(&o.after, "after", 0, "")
	cmd.Flags().StringVar(&o.card, "card", "", "")
	cmd.Flags().StringVar(&o.status, "status", "", "")
	cmd.Flags().StringVar(&o.since, "since", "", "")
	cmd.Flags().IntVar(&o.last, "last", 0, "")
	cmd.Flags().BoolVarP(&o.follow, "follow", "f", false, "")
	cmd.Flags().StringVarP(&o.output, "output", "o", "json", "")
	return cmd
}

type tailOptions struct {
	after  int64  // a position
	card   string // "": all
	status string // "": all
	since  string // see sinceTime; "": all
	last   int    // 0: all
	follow bool
	output string // json or timeline
}

// filter returns whether an event has the status and is late enough.
func (o tailOptions) filter(now time.Time) (func(store.Queued) bool, error) {
	var status store.Status
	var since time.Time
	var err error
	if o.status != "" {
		if status, err = statusNamed(o.status); err != nil {
			return nil, err
		}
	}
	if o.since != "" {
		if since, err = sinceTime(o.since, now); err != nil {
			return nil, err
		}
	}
	return func(e store.Queued) bool {
		return (o.status == "" || e.Status == status) && !e.At.Before(since)
	}, nil
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
func (c *cli) tail(ctx context.Context, next eventSource, o tailOptions) error {
	out := bufio.NewWriter(c.Stdout)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	entries := entryWriter{out: out}
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
	var parked bool
	cmd := &cobra.Command{
		Use:  "replay",
		Args: command.Exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			set := cmd.Flags().Changed
			if parked && (set("from") || set("to")) || !parked && (!set("from") || !set("to") || from < 1 || to < from) {
				return command.Refuse("run cvvd events tail for positions", "--parked, or --from and --to are required: the first and the last position, from 1")
			}
			return c.withStore(cmd.Context(), &f, func(cfg *config.Config, s store.Store) error {
				var n int64
				err := c.audited(cmd.Context(), cfg, audit.OperationReplayEvents, false, func(r *audit.Record) (err error) {
					which := fmt.Sprintf("positions %d to %d", from, to)
					if parked {
						which = "parked"
						n, err = requeueParked(cmd.Context(), s)
					} else {
						n, err = s.Requeue(cmd.Context(), from, to)
					}
					r.Detail = fmt.Sprintf("%s: %s", which, count(n, "event"))
					return err
				})
				if err != nil {
					return fmt.Errorf("requeuing failed after %s: %w", count(n, "event"), err)
				}
				_, err = fmt.Fprintf(c.Stdout, "requeued %s\n", count(n, "event"))
				return err
			})
		},
	}
	f.add(cmd)
	cmd.Flags().Int64Var(&from, "from", 0, "")
	cmd.Flags().Int64Var(&to, "to", 0, "")
	cmd.Flags().BoolVar(&parked, "parked", false, "")
	return cmd
}

// requeueParked requeues all dead-lettered events and returns how many, also with an
// error.
func requeueParked(ctx context.Context, s store.Store) (n int64, err error) {
	next := allEvents(s, 0).only(func(e store.Queued) bool { return e.Status == store.StatusParked })
	for {
		events, err := next(ctx)
		if err != nil || len(events) == 0 {
			return n, err
		}
		for _, e := range events {
			one, err := s.Requeue(ctx, e.Position, e.Position)
			if n += one; err != nil {
				return n, err
			}
		}
	}
}
