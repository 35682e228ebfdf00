package telemetry

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Totals are counts since the start of the process.
type Totals struct {
	Requests     float64 // HTTP requests
	ServerErrors float64 // requests that were answered with a 5xx status
	RevealErrors float64 // such requests to reveal a CVV
	Missed       float64 // slots that passed without a rotation
	Repairs      float64 // next rotations that the sweep repaired
	Verdicts     float64 // presented CVVs
	Wrong        float64 // presented CVVs that were wrong, locked or throttled
	Throttled    float64 // presented CVVs that were throttled
	Unlocks      float64 // cards that were unlocked by a call
}

// Sub returns the differences of all counts.
func (t Totals) Sub(u Totals) Totals {
	return Totals{
		t.Requests - u.Requests, t.ServerErrors - u.ServerErrors, t.RevealErrors - u.RevealErrors, t.Missed - u.Missed, t.Repairs - u.Repairs,
		t.Verdicts - u.Verdicts, t.Wrong - u.Wrong, t.Throttled - u.Throttled, t.Unlocks - u.Unlocks,
	}
}

// Totals returns what the metrics have counted.
func (m *Metrics) Totals() Totals {
	var t Totals
	each(m.requests, func(labels map[string]string, n float64) {
		t.Requests += n
		if strings.HasPrefix(labels["status"], "5") {
			t.ServerErrors += n
			if labels["route"] == "GET /v1/cards/{cardId}/cvv" {
				t.RevealErrors += n
			}
		}
	})
	each(m.verdicts, func(labels map[string]string, n float64) {
		t.Verdicts += n
		switch labels["verdict"] {
		case "throttled":
			t.Throttled += n
			fallthrough
		case "wrong", "locked":
			t.Wrong += n
		}
	})
	for c, to := range map[prometheus.Counter]*float64{m.missed: &t.Missed, m.repairs: &t.Repairs, m.unlocks: &t.Unlocks} {
		each(c, func(_ map[string]string, n float64) { *to = n })
	}
	return t
}

// each calls f with the labels and the value of each counter.
func each(counters prometheus.Collector, f func(labels map[string]string, n float64)) {
	ch := make(chan prometheus.Metric)
	go func() {
		counters.Collect(ch)
		close(ch)
	}()
	for metric := range ch {
		var out dto.Metric
		if metric.Write(&out) != nil {
			continue // a counter can always be written
		}
		labels := map[string]string{}
		for _, l := range out.GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		f(labels, out.GetCounter().GetValue())
	}
}
