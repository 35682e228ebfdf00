// Package enginecheck hunts for mistakes in the engine (rotation/engine), over
// the store in memory (rotation/engine/memory), which plays the faults of
// databases.
//
// [System] puts the engine behind the interface of package check, so that every
// search there, and every invariant, is for the engine, too. [Campaign] is for
// what a single card cannot show: several engines on one store, with clocks that
// differ, lost races, calls that fail before or after the commit, processes that
// are killed, generators that fail, a relay that delivers the events. After each
// step all that is stored is held against a ledger: the reference model
// (sim/model) for the schedule, and plain counting for the rest. [Audit] judges
// a history from outside, by the events and the answers alone.
//
// A run is a function of its seed but for the digits of CVVs and the random
// service codes, which no decision depends on.
package enginecheck
