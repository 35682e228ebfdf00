package check

// A Peer is a bug that another scheduler has had, with the bugs of this package
// that are of the same making: they must stay caught.
type Peer struct {
	Where    string   // the project and its issue
	Sentence string   // what went wrong there
	Bugs     []string // names of Bugs
}

// Peers returns the peers' bugs.
func Peers() []Peer { return peers }

var peers = []Peer{
	{"vault#31918", "time to live computed from now, so that consumers synced the old secret", []string{"answer-from-now"}},
	{"vault#29537", "a correction only in memory: a restart rotated everything", []string{"host-persists-auto-only", "host-reply-before-persist"}},
	{"vault#18738", "no way to set the first slot: two roles fired together", []string{"first-ignored"}},
	{"kubernetes#42649", "more than 100 missed starts: never ran again", []string{"hundred-missed"}},
	{"kubernetes#63371", "editing a schedule fired retroactively", []string{"interval-retroactive"}},
	{"robfig/cron#26", "a clock that jumped by one hour: 720 runs", []string{"catch-up-flood"}},
	{"river#1035", "a flood of runs to catch up after two weeks off", []string{"catch-up-flood"}},
	{"temporal#4866", "an update that changed nothing dropped a due run", []string{"unchanged-drops-due", "unchanged-reschedules"}},
	{"systemd#13513", "a clock corrected backwards: stuck", []string{"guard-back-forever", "host-drops-early"}},
	{"pg_cron#105", "a clock corrected backwards: stuck", []string{"guard-back-forever", "host-drops-early"}},
	{"gocron#438", "a clock corrected backwards: stuck", []string{"guard-back-forever", "host-drops-early"}},
	{"cert-manager#4539", "a back-off blocked a manual renewal", []string{"forced-held-refused", "forced-off-refused"}},
	{"quartz#107", "one trigger fired twice (ABA)", []string{"duplicate-rotates", "order-in-flight-duplicate", "host-unnamed-timers"}},
	{"river#791", "restarts restart the timer: a weekly job never runs", []string{"host-restart-resets-timer"}},
	{"asynq#798", "restarts restart the timer: a weekly job never runs", []string{"host-restart-resets-timer"}},
	{"vault (code)", "the next run computed from the finish time drifts every cycle", []string{"drift"}},
	{"vault (code)", "one failing item stalls the whole queue", []string{"host-stalls-on-failure"}},
}
