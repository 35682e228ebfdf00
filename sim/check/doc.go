// Package check hunts for mistakes in the rotation rules, and in whatever else
// claims to follow them.
//
// What is hunted is a [System]: something that decides the events of cards and
// stores what it has to remember. [Rules] makes one of rotation.Rules; [Bugs]
// are systems that are wrong in one known way each, and hosts that are; a
// durable engine fits behind the same interface. Three searches look for a
// broken invariant (see [Invariants]):
//
//   - [Campaign] runs a simulated host: timers that come late, twice or never,
//     nodes that crash, clocks that jump. Each run is drawn from one seed and
//     nothing else, so that a seed reproduces it.
//   - [Sequences] tries every sequence of events up to a depth, each at every
//     boundary that the card then has.
//   - [Closure] visits every state that any sequence of events on a coarse grid
//     of time can lead to, so that on this grid the invariants hold for
//     timelines of any length.
//
// What is found is shrunk (see [Failure]) to a timeline that a person can read,
// with the paragraph that says what is wrong with it.
//
// Instants and durations are int64 nanoseconds in this package, instants since
// 1970: a million events a second leave no room for more.
package check
