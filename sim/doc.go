// Package sim replays timelines of CVV rotation against the rules of package
// rotation, in virtual time.
//
// A [Replay] applies events one by one, in the order in which they are given,
// and keeps the state of each card: an open loop, which does just what the
// timeline says. A [Loop] closes it: its virtual clock fires each card's
// automatic rotation at its slot, or a fixed lag after it, and the timeline
// holds only the other events. Both give the same input the same steps, always:
// nothing here reads a clock or draws a random number.
//
// Package sim/timeline reads and writes timelines, sim/scenarios holds the built-in
// ones, and sim/draw draws them. Package sim/model is a second,
// naive statement of the rules that the first is held against.
package sim
