// Package telemetry shows what an engine and its store do: as metrics for
// Prometheus, as traces for OpenTelemetry, and as the last hour for a page.
//
//	m := telemetry.New(telemetry.Options{Registerer: registry})
//	s := m.Store(sqliteStore)           // times every call, and makes spans
//	e, err := engine.New(engine.Options{Store: s, Observer: m, …})
//	registry.MustRegister(telemetry.Sizes(s, time.Second))
//	http.Handle("/", m.Handler(api))    // counts, times and traces requests
//
// No label, no span and no attribute names a card or an account, or holds
// anything that a caller has sent.
package telemetry
