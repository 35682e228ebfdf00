// Package enginecheck searches for mistakes in the engine (rotation/engine) on the
// in-memory store (rotation/engine/memory), which injects the faults of databases.
//
// [System] puts the engine behind the interface of package check, so that every
// search and every invariant of that package tests the engine too. [Campaign]
// tests what a single card cannot show: several engines on one store, with clock
// skew, lost races, calls that fail before or after the commit, killed processes,
// failing generators and event delivery. Each step compares everything stored
// with the expected state: the reference model (sim/model) for the schedule,
// counters for the rest. [Audit] checks a history from outside, by the events and
// the answers alone.
//
// A run is a function of its seed: its generators draw CVVs and service codes from it,
// and seal them in the clear. Packages cvvgen and seal are tested elsewhere.
package enginecheck
