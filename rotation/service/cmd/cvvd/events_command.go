package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/spf13/cobra"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation"
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
	after, follow := o.after, o.follow
	ticker := clock.New().Ticker(time.Second)
	defer ticker.Stop()
	for {
		events, err := s.ListEvents(ctx, after, logPage)
		if follow && ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		for _, e := range events {
			after = e.Position
			if o.card != "" && e.Card != o.card {
				continue
			}
			if o.output == "timeline" {
				if err := entries.write(e); err != nil {
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
		if len(events) == logPage {
			continue
		}
		if !follow {
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

func (w *entryWriter) write(e store.Queued) error {
	r := timeline.NewReader(bytes.NewReader(e.Payload), fmt.Sprintf("event at position %d", e.Position))
	rules, err := r.Rules()
	if err != nil {
		return err
	}
	entry, err := r.Next()
	if err != nil {
		return err
	}
	if w.to == nil {
		w.to, w.rules = timeline.NewWriter(w.out, timeline.SpellingText, rules), rules
	}
	if rules != w.rules {
		return command.Hint(fmt.Errorf("position %d: the rules changed to %s, and a timeline has one set of rules", e.Position, rules),
			fmt.Sprintf("print the rest with --after %d", e.Position-1))
	}
	return w.to.Write(entry)
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
