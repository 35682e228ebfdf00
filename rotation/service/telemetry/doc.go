// Package telemetry measures an engine, its store, its relay and its endpoint: as
// metrics for Prometheus, as traces for OpenTelemetry, and as statistics of the last
// hour for a status page.
//
//	m, err := telemetry.New(telemetry.Options{Registerer: registry})
//	s := m.Store(sqliteStore)           // measures and traces every call
//	e, err := engine.New(engine.Options{Store: s, Observer: m, …})
//	registry.MustRegister(telemetry.Sizes(s, time.Second))
//	http.Handle("/", m.Handler(api))    // counts, measures and traces requests
//
// Labels, spans and attributes never contain a card, an account, or anything else
// that a caller sent.
package telemetry
