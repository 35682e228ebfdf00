package api

import (
	"net/http"
	"time"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/event"
)

const (
	defaultHistory = 20
	maxHistory     = 200
)

// history is the response to a call for a card's history.
type history struct {
	Card    string         `json:"card_id"`
	Account string         `json:"account_id"`
	Last    int64          `json:"last_event_number"` // 0: none
	Events  []historyEvent `json:"events"`            // newest first
	Missing []eventRange   `json:"missing"`           // numbers that are not kept
	Before  *int64         `json:"next_before"`       // of the next page
}

// historyEvent is an event with the members of its data, its time, and its sentence.
type historyEvent struct {
	Number      int64           `json:"event_number"`
	Time        time.Time       `json:"time"`
	Operation   event.Operation `json:"operation_type"`
	Type        *string         `json:"cvv_rotation_type"` // of a rotation
	Version     int64           `json:"cvv_version"`
	Next        *time.Time      `json:"cvv_next_rotation_date"`
	Hours       *float64        `json:"cvv_rotation_interval_hours"`
	Rescheduled bool            `json:"rescheduled"`
	Reason      string          `json:"reason"`
	Scenario    int             `json:"scenario"`
	Missed      int64           `json:"missed"`
	Slot        *time.Time      `json:"slot"`
	Compromised bool            `json:"compromised"`
	Repaired    bool            `json:"repaired"`
	Rule        *string         `json:"rule"` // null: see event.Explained
	Sentence    string          `json:"sentence"`
}

// eventRange is a range of event numbers, both included.
type eventRange struct {
	First int64 `json:"first"`
	Last  int64 `json:"last"`
}

func historyOf(h engine.History) history {
	out := history{Card: h.Card, Account: h.Account, Last: h.Last, Events: []historyEvent{}, Missing: []eventRange{}}
	for _, e := range h.Events {
		out.Events = append(out.Events, historyEventOf(e.Explained))
	}
	for _, r := range h.Missing {
		out.Missing = append(out.Missing, eventRange(r))
	}
	if h.Older > 0 {
		out.Before = &h.Older
	}
	return out
}

func historyEventOf(e event.Explained) historyEvent {
	out := historyEvent{
		Number: e.Number, Time: e.At, Operation: e.Operation, Version: e.Version,
		Next: instant(e.Next), Hours: hours(e.Interval), Rescheduled: e.Rescheduled,
		Reason: e.Reason.String(), Scenario: e.Scenario, Missed: e.Missed, Slot: instant(e.Slot),
		Compromised: e.Compromised, Repaired: e.Repaired, Sentence: e.Sentence,
	}
	if e.Operation == event.OperationRotate {
		out.Type = new("MANUAL")
		if e.Automatic {
			*out.Type = "AUTOMATIC"
		}
	}
	if e.Rule != 0 {
		out.Rule = new(e.Rule.String())
	}
	return out
}

func (h *handler) showHistory(c *call) (*response, error) {
	before, err := c.queryInt("before", 0, 1, 1<<63-1)
	if err != nil {
		return nil, err
	}
	limit, err := c.queryInt("limit", defaultHistory, 1, maxHistory)
	if err != nil {
		return nil, err
	}
	found, err := h.engine.History(c.r.Context(), c.ref(), before, int(limit))
	if err != nil {
		return nil, err
	}
	return &response{status: http.StatusOK, body: historyOf(found)}, nil
}
