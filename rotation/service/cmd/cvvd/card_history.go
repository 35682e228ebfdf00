package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/service/cmd/cvvd/config"
	"cvvrotation/rotation/service/cmd/cvvd/history"
	"cvvrotation/sim/draw"
)

var historyOutputs = []cobra.Completion{"text", "json", "timeline", "svg", "html"}

func (c *cli) historyCommand() *cobra.Command {
	var f configFlags
	var output string
	var before int64
	var limit int
	cmd := &cobra.Command{
		Use:  "history CARD",
		Args: command.Exactly("a card's id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case !slices.Contains(historyOutputs, cobra.Completion(output)):
				return command.Refuse("run cvvd card history --help", "-o %s: must be one of %s", output, strings.Join(historyOutputs, ", "))
			case before < 0:
				return command.Refuse("leave --before out for the newest events", "--before: must be the number of an event, from 1")
			case limit < 1 || limit > draw.MaxEvents:
				return command.Refuse("page through older events with --before", "--limit: must be 1 to %d", draw.MaxEvents)
			}
			return c.withEngine(cmd.Context(), &f, func(_ *config.Config, e *engine.Engine) error {
				card, err := history.Read(cmd.Context(), e, args[0], before, limit)
				if err != nil {
					return explain(args[0], err)
				}
				return writeHistory(c.Stdout, c.Stderr, card, output)
			})
		},
	}
	f.add(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "text", "")
	cmd.Flags().Int64Var(&before, "before", 0, "")
	cmd.Flags().IntVar(&limit, "limit", 100, "")
	cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(historyOutputs, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func writeHistory(w, stderr io.Writer, card history.Card, output string) error {
	switch output {
	case "text":
		return historyText(w, card)
	case "json":
		return historyJSON(w, card)
	}
	for _, note := range append(card.Notes(), olderHint(card)...) {
		fmt.Fprintln(stderr, "note:", note)
	}
	if output == "timeline" {
		out := bufio.NewWriter(w)
		entries := entryWriter{out: out}
		for _, e := range slices.Backward(card.Events) {
			if err := entries.write(e.Changed, e.Position); err != nil {
				return errors.Join(err, out.Flush())
			}
		}
		return out.Flush()
	}
	section, err := card.Section()
	if err != nil {
		return err
	}
	report := draw.Report{
		Title: "Card " + card.Schedule.Card, Intro: append(card.Notes(), section.Intro...), Facts: card.Facts(),
		Sections: []draw.Section{section}, Other: "Recorded",
	}
	if output == "svg" {
		return draw.SVG(w, report)
	}
	return draw.HTML(w, report)
}

// olderHint says how to list older events, if some are kept.
func olderHint(card history.Card) []string {
	if card.Older == 0 {
		return nil
	}
	return []string{fmt.Sprintf("Older events follow with --before %d.", card.Older)}
}

func historyText(w io.Writer, card history.Card) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "card %s\n", card.Schedule.Card)
	for _, fact := range card.Facts() {
		for i, line := range strings.Split(fact.Value, "\n") {
			name := ""
			if i == 0 {
				name = fact.Name
			}
			fmt.Fprintf(t, "  %s\t%s\n", name, line)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, e := range card.Events {
		sentence := e.Sentence
		if note := card.Delivery(e); note != "" {
			sentence += " [" + note + "]"
		}
		fmt.Fprintf(t, "%s\t#%d\tversion %d\t%s\n", history.Time(e.At), e.Number, e.Version, sentence)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, note := range append(card.Notes(), olderHint(card)...) {
		if _, err := fmt.Fprintln(w, note); err != nil {
			return err
		}
	}
	return nil
}

// historyEvent is an event in the JSON of a history.
type historyEvent struct {
	line
	Rule     string `json:"rule,omitempty"` // "": depends on an older event that is not there
	Sentence string `json:"sentence"`
}

type eventRange struct {
	First int64 `json:"first"`
	Last  int64 `json:"last"`
}

func historyJSON(w io.Writer, card history.Card) error {
	schedule := scheduleOutput("", card.Schedule)
	out := struct {
		Schedule cardOutput     `json:"schedule"`
		Last     int64          `json:"last_event_number"`
		Events   []historyEvent `json:"events"`
		Missing  []eventRange   `json:"missing"`
		Before   int64          `json:"next_before,omitempty"`
	}{schedule, card.Last, []historyEvent{}, []eventRange{}, card.Older}
	for _, e := range card.Events {
		x := historyEvent{line{e.Position, e.Status.String(), e.Attempts, e.Failure, e.AppendJSON(nil)}, "", e.Sentence}
		if e.Rule != 0 {
			x.Rule = e.Rule.String()
		}
		out.Events = append(out.Events, x)
	}
	for _, r := range card.Missing {
		out.Missing = append(out.Missing, eventRange(r))
	}
	return json.NewEncoder(w).Encode(out)
}
