// Package timeline reads and writes timelines: files of events in the order in
// which they were delivered, optionally with what is expected of each. There are
// two spellings of one model. JSON Lines, for programs:
//
//	{"timeline":1,"rules":{"guard":"2m","guard_from":"request"}}
//	{"at":"2026-11-22T15:00:00Z","card":"A","event":"set_interval","interval":"24h"}
//	{"at":"2026-11-23T15:01:59Z","card":"A","event":"forced","rotate":true}
//
// and text, for people:
//
//	# One second before the guard ends, the schedule stays.
//	rules guard=2m
//	2026-11-22T15:00:00Z  A  set_interval interval=24h
//	2026-11-23T15:00:00Z  A  auto
//	+1m59s                A  forced     => rotate=true reschedule=false
//
// A [Reader] tells them apart by the first byte and yields an [Entry] at a time,
// so that a file of any length is read in constant memory. What it can't read
// is an [*Error] with the line; of a timeline it never skips one. A [Writer] writes
// what a Reader reads back as the same entries.
//
// A Reader also reads logs: the daemon's own events, recognised by the first, and
// with a [Mapping] another system's. There, lines without an event are counted. JSON
// may be an array, CSV with a header is read by its columns, and any file may be gzip.
//
// Reading checks the spelling alone. Whether an event is one that the rules
// accept (R22) is for rotation.Rules.Decide to say.
//
// A Reader or Writer is for one goroutine at a time.
package timeline
