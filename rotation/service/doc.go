// Package service holds what runs the engine as a service, in a module of its own:
// databases, brokers, tokens and telemetry bring dependencies that a program which
// embeds the rules or the engine must not inherit.
//
// The packages are in the folders below: the stores postgres and sqlite, the event
// sinks webhook and jetstream, the HTTP endpoint api with its bearer tokens in auth,
// metrics and traces in telemetry, and the daemon cmd/cvvd over all of them. The
// tests here run the engine on each store.
package service
