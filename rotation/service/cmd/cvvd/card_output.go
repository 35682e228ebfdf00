package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/service/cmd/cvvd/config"
)

// cardOutput is the output of a command on a card, as JSON or as text. It contains no
// CVV.
type cardOutput struct {
	Done        string      `json:"done,omitempty"`
	Card        string      `json:"card"`
	Account     string      `json:"account,omitempty"`
	At          time.Time   `json:"at"`
	Interval    string      `json:"interval,omitempty"` // "": automatic rotation is off
	Next        *time.Time  `json:"next"`
	Slots       []time.Time `json:"slots,omitempty"`
	Version     int64       `json:"version"`
	ServiceCode string      `json:"service_code"`
	Rotated     *time.Time  `json:"rotated_at,omitempty"`
	Locked      *time.Time  `json:"locked_at,omitempty"`
	Tries       int         `json:"tries,omitempty"`
	DailyTries  int         `json:"daily_tries,omitempty"`
	Throttled   *time.Time  `json:"throttled_until,omitempty"`
	Failures    int         `json:"failures,omitempty"`
	Failure     string      `json:"failure,omitempty"`

	// The result of the forced call, or of one that would be made now.
	Rescheduled bool   `json:"rescheduled"`
	Reason      string `json:"reason"`
	Scenario    int    `json:"scenario,omitempty"`
	Replayed    bool   `json:"replayed,omitempty"`

	forecast string        // what a forced call would do; "" if this is the result of one
	effect   engine.Effect // for the audit record
}

func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func scheduleOutput(done string, s engine.Schedule) cardOutput {
	r := cardOutput{
		Done: done, Card: s.Card, Account: s.Account, At: s.At, Next: instant(s.Next), Slots: s.Slots,
		Version: s.Version, ServiceCode: s.ServiceCode.String(), Rotated: instant(s.Rotated),
		Locked: instant(s.Locked), Tries: s.Tries, DailyTries: s.DailyTries, Throttled: instant(s.ThrottledUntil), Failures: s.Failures, Failure: s.Failure,
		Rescheduled: s.Forced.Rescheduled, Reason: s.Forced.Reason.String(), Scenario: s.Forced.Scenario,
		effect: s.Effect,
	}
	if s.Interval != 0 {
		r.Interval = config.NewDuration(s.Interval).String()
	}
	r.forecast = "rotates the CVV and keeps the schedule"
	if s.Forced.Rescheduled {
		r.forecast = "rotates the CVV and sets the next rotation to " + s.Forced.Next.Format(time.RFC3339)
	}
	return r
}

func rotationOutput(r engine.Rotation) cardOutput {
	done := "rotated"
	if r.Replayed {
		done = "already rotated by an earlier call with this idempotency key"
	}
	return cardOutput{
		Done: done, Card: r.Card, At: r.At, Next: instant(r.Next), Version: r.Version, ServiceCode: r.ServiceCode.String(),
		Rescheduled: r.Rescheduled, Reason: r.Reason.String(), Scenario: r.Scenario, Replayed: r.Replayed,
		effect: r.Effect,
	}
}

func (r cardOutput) text(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	title := "card " + r.Card
	if r.Done != "" {
		title += ": " + r.Done
	}
	fmt.Fprintln(t, title)
	line := func(label string, value any) { fmt.Fprintf(t, "  %s\t%v\n", label, value) }
	at := func(label string, p *time.Time) {
		if p != nil {
			line(label, p.Format(time.RFC3339Nano))
		}
	}
	if r.Account != "" {
		line("account", r.Account)
	}
	line("CVV", fmt.Sprintf("version %d, service code %s", r.Version, r.ServiceCode))
	if r.effect.Compromised {
		line("compromised", "the replaced CVV is no longer accepted")
	}
	at("created", r.Rotated)
	if r.forecast != "" {
		interval := "off"
		if r.Interval != "" {
			interval = "every " + r.Interval
		}
		line("automatic", interval)
	}
	at("next", r.Next)
	if len(r.Slots) > 1 {
		var slots []string
		for _, s := range r.Slots[1:] {
			slots = append(slots, s.Format(time.RFC3339))
		}
		line("then", strings.Join(slots, " "))
	}
	at("locked", r.Locked)
	at("throttled until", r.Throttled)
	if r.DailyTries > 0 || r.Tries > 0 {
		line("failed attempts", fmt.Sprintf("%d in a row, %d within 24 hours", r.Tries, r.DailyTries))
	}
	if r.Failures > 0 {
		line("rotation failed", fmt.Sprintf("%d times: %s", r.Failures, r.Failure))
	}
	reason := r.Reason
	if r.Scenario > 0 {
		reason += fmt.Sprintf(", scenario %d", r.Scenario)
	}
	if r.forecast != "" {
		line("a forced call now", fmt.Sprintf("%s (%s)", r.forecast, reason))
	} else {
		line("rescheduled", fmt.Sprintf("%t (%s)", r.Rescheduled, reason))
	}
	return t.Flush()
}

// count formats a number with its noun: 1 card, 2 cards.
func count[N int | int64](n N, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
