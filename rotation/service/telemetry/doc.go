// Package telemetry measures an engine, its store, its relay and its endpoint: as
// metrics for Prometheus, as traces for OpenTelemetry, and as statistics of the last
// hour for a status page.
//
// [New] returns [Metrics]. Pass it to engine.Options.Observer, and its method Delivered
// to outbox.Options.Observe. Its methods Store and Handler wrap the store and the
// endpoint. [Sizes] reports the store's sizes, [NewTracerProvider] exports the spans.
//
// Labels, spans and attributes never contain a card, an account, or anything else
// that a caller sent.
package telemetry
