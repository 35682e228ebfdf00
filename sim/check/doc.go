// Package check searches for mistakes in the rotation rules, and in anything else
// that claims to follow them.
//
// The searches test a [System]: it decides the events of cards and stores their
// states. [Rules] makes a System of rotation.Rules. Each of [Bugs] is a system or a
// host that is wrong in one known way. Package enginecheck puts the engine behind
// the same interface; [OnTimers] simulates hosts with package rotation/timers. Package
// checktest runs the searches in the tests of a service, and a [Poller] has them run the
// service's poller. Three searches look for a broken invariant (see [Invariants]):
//
//   - [Campaign] simulates hosts: timers fire late, twice or never, nodes crash,
//     clocks step. The seed alone decides a run, so a seed reproduces it.
//   - [Sequences] tries every sequence of events up to a depth, each at every
//     boundary that the card then has.
//   - [Closure] visits every state that any sequence of events on a coarse grid
//     of time can lead to, so that on this grid the invariants hold for
//     timelines of any length.
//
// A failure is shrunk (see [Failure]) to a short timeline, with a paragraph that
// explains it.
//
// Instants and durations are int64 nanoseconds in this package, instants since
// 1970, so that a core can check a million events a second.
package check
