// Package killtest holds only tests. They kill processes with the engine on real
// stores (SIGKILL) at random moments and restart them, or simulate power cuts, and check
// from outside what is left.
//
// A child is this test binary, started again. It runs the engine with its workers, a
// relay that writes the events to a file, callers that force rotations with idempotency
// keys, and one that changes intervals. A caller records each answer before its next
// call. After a kill the next child repeats, with the same key, calls without a recorded
// answer. In the end no answered call may be missing and none may have been executed
// twice, the events of every card must be complete, and a subscriber must have received
// all of them, first deliveries in order (see enginecheck.Audit).
//
// SQLite has one child at a time, PostgreSQL three, and there the server is killed, too.
//
// A killed process loses nothing that it has written. So the tests also record the
// system calls of other children, with SQLite, and simulate power cuts at many moments:
// any part of what was not synced is lost (see package powertest). The same checks
// follow.
//
// KILLS=300 and CUTS=3000 set the number of kills (default 36) and power cuts (default
// 120). KILLSEED=7 is the seed for what callers ask for and when to kill or cut. The
// exact moments of kills differ in each run.
package killtest
