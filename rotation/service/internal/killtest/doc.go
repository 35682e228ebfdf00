// Package killtest holds tests alone: processes with the engine over real stores
// are killed (SIGKILL) at random moments, and started again, or have the power cut,
// and what they leave behind is judged from outside.
//
// A child is this test binary once more. It runs the engine with its workers, a
// relay that writes the events to a file, callers that force rotations with
// idempotency keys, and one that changes intervals. A caller writes down each
// answer before it calls again. After a kill the next child asks again, under the
// same key, what was not written down. In the end nothing that was answered may
// be missing, nothing may have been done twice, every card's events must tell its
// whole story, and a subscriber must have got all of them, first deliveries in
// order (see enginecheck.Audit).
//
// SQLite has one child at a time, PostgreSQL three, and there the server itself
// is killed, too.
//
// A kill loses nothing that the kernel has. So the system calls of other children,
// with SQLite, are recorded, and at many moments of their lives the power is cut:
// what was not synced by then is lost, or any part of it is (see package
// powertest). What was told is judged in the same way.
//
// KILLS=300 kills so often, and CUTS=3000 cuts the power so often; a few dozen and
// a hundred times are the defaults. KILLSEED=7 draws what the callers ask for and
// when to kill or cut from that seed; the moments themselves are never the same
// twice.
package killtest
