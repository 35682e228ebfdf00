package telemetry

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// KeySetAge returns a collector of the age of the token issuer's key set (JWKS).
// loaded returns the time of the last refresh, or the zero time if there was none.
// KeySetAge returns an error if loaded is nil.
func (m *Metrics) KeySetAge(loaded func() time.Time) (prometheus.Collector, error) {
	if loaded == nil {
		return nil, errors.New("telemetry: a function that returns the time of the last refresh is required")
	}
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "cvv_token_keys_age_seconds", Help: "Time since the last successful JWKS refresh; -1 if there was none.",
	}, func() float64 {
		if t := loaded(); !t.IsZero() {
			return m.clock.Since(t).Seconds()
		}
		return -1
	}), nil
}

var keySetEntries = prometheus.NewDesc("cvv_token_keys",
	"Entries of the token issuer's key set (JWKS) by status: used, or why an entry was skipped.", []string{"status"}, nil)

// KeySetEntries returns a collector of the number of entries of the token issuer's key
// set (JWKS). count returns it by status. KeySetEntries returns an error if count is
// nil.
func KeySetEntries(count func() map[string]int) (prometheus.Collector, error) {
	if count == nil {
		return nil, errors.New("telemetry: a function that counts the entries of the key set is required")
	}
	return keyEntries(count), nil
}

type keyEntries func() map[string]int

// Describe implements prometheus.Collector.
func (keyEntries) Describe(ch chan<- *prometheus.Desc) { ch <- keySetEntries }

// Collect implements prometheus.Collector.
func (count keyEntries) Collect(ch chan<- prometheus.Metric) {
	for status, n := range count() {
		ch <- prometheus.MustNewConstMetric(keySetEntries, prometheus.GaugeValue, float64(n), status)
	}
}
