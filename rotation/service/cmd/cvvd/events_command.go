package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/spf13/cobra"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/audit"
	"cvvrotation/rotation/service/cmd/cvvd/config"
)

const logPage = 500

func (c *cli) eventsCommand() *cobra.Command {
	return command.Group("events", c.tailCommand(), c.replayCommand())
}

func (c *cli) tailCommand() *cobra.Command {
	var f configFlags
	var after int64
	var follow bool
	cmd := &cobra.Command{
		Use:  "tail",
		Args: command.Exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if after < 0 {
				return command.Refuse("use --after 0 for all events", "--after: must not be negative")
			}
			ctx, stop := c.interruptible(cmd.Context())
			defer stop()
			return c.withStore(ctx, &f, func(_ *config.Config, s store.Store) error {
				return c.tail(ctx, s, after, follow)
			})
		},
	}
	f.add(cmd)
	cmd.Flags().Int64Var(&after, "after", 0, "")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "")
	return cmd
}

// line is an event in the output of tail.
type line struct {
	Position int64           `json:"position"`
	Status   string          `json:"status"`
	Attempts int             `json:"attempts"`
	Failure  string          `json:"failure,omitempty"`
	Event    json.RawMessage `json:"event"`
}

// tail prints the events after a position. With follow it polls for more each second
// until ctx ends.
func (c *cli) tail(ctx context.Context, s store.Store, after int64, follow bool) error {
	out := bufio.NewWriter(c.Stdout)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
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
