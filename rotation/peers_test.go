package rotation_test

import (
	"testing"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/sim/must"
)

// Bugs that other schedulers have had, as stories that end well here.
func TestPeers_BugsOfOtherSchedulersDoNotOccur(t *testing.T) {
	for _, test := range []struct {
		name  string // whose, and what went wrong there
		steps []step
	}{
		{"vault, kubernetes: next computed from when the work was done drifts", []step{
			{autoSlot(time.Minute, 0), "R5 scheduled, rotate, reschedule; every 24h, next +24h, guard auto +1m, served +0s"},
			{autoSlot(day+5*time.Minute, day), "R5 scheduled, rotate, reschedule; every 24h, next +48h, guard auto +24h5m, served +24h"},
			{autoSlot(2*day, 2*day), "R5 scheduled, rotate, reschedule; every 24h, next +72h, guard auto +48h, served +48h"},
		}},
		{"kubernetes#42649: over 100 missed starts, and never ran again", []step{
			{autoSlot(200*day, 0), "R5 scheduled, missed 200, rotate, reschedule; every 24h, next +4824h, guard auto +4800h, served +4800h"},
			{autoSlot(201*day, 201*day), "R5 scheduled, rotate, reschedule; every 24h, next +4848h, guard auto +4824h, served +4824h"},
		}},
		{"robfig/cron#26, river#1035: a clock that jumps ahead, or two weeks off, and a flood of runs", []step{
			{setInterval(0, 5*time.Minute), "R8 interval_set, reschedule; every 5m, next +5m, guard set_interval +0s"},
			{autoSlot(time.Hour, 5*time.Minute), "R5 scheduled, missed 11, rotate, reschedule; every 5m, next +1h5m, guard auto +1h, served +1h"},
			{autoSlot(time.Hour, 10*time.Minute), "R12 duplicate; every 5m, next +1h5m, guard auto +1h, served +1h"},
		}},
		{"kubernetes#63371: editing a schedule fired retroactively", []step{
			{setInterval(time.Hour, 12*time.Hour), "R8 interval_set, reschedule; every 12h, next +13h, guard set_interval +1h"},
			{autoSlot(time.Hour+G, 0), "R13 superseded; every 12h, next +13h, guard set_interval +1h"},
		}},
		{"temporal#4866: an update that changes nothing dropped a run that was due", []step{
			{setInterval(time.Hour, day), "R9 unchanged; every 24h, next +0s, guard set_interval -24h"},
			{autoSlot(time.Hour, 0), "R5 scheduled, rotate, reschedule; every 24h, next +24h, guard auto +1h, served +0s"},
		}},
		{"systemd#13513, pg_cron#105, gocron#438: stuck once the clock was corrected backwards", []step{
			{autoSlot(1000*day, 0), "R5 scheduled, missed 1000, rotate, reschedule; every 24h, next +24024h, guard auto +24000h, served +24000h"},
			{forced(time.Hour), "R3 scheduled, rotate, reschedule; every 24h, next +25h, guard forced +1h, served +24000h"},
			{autoSlot(25*time.Hour, 25*time.Hour), "R5 scheduled, rotate, reschedule; every 24h, next +49h, guard auto +25h, served +24000h"},
		}},
		{"cert-manager#4539: back-off blocked a manual renewal", []step{
			{forced(0), "R3 scheduled, rotate, reschedule; every 24h, next +24h, guard forced +0s"},
			{forced(time.Second), "R2 guard, scenario 3, rotate; every 24h, next +24h, guard forced +1s"},
		}},
		{"quartz#107: fired twice, the schedule having moved away and back", []step{
			{setInterval(-time.Hour, 12*time.Hour), "R8 interval_set, reschedule; every 12h, next +11h, guard set_interval -1h"},
			{setFirst(-time.Second, day, 0), "R8 interval_set, reschedule; every 24h, next +0s, guard set_interval -1s"},
			{autoSlot(0, 0), "R6 guard, rotate; every 24h, next +24h, guard auto +0s, served +0s"},
			{autoSlot(0, 0), "R12 duplicate; every 24h, next +24h, guard auto +0s, served +0s"},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			run(t, rules, daily(t), test.steps...)
		})
	}
}

// vault#29537, river#791: a restart rotated everything, or started every timer
// anew, because the schedule was in memory only.
func TestPeers_RestartChangesNothing(t *testing.T) {
	s := after(t, rules, setInterval(-day, day), autoSlot(0, 0))
	var restored rotation.State
	must.Do(t, restored.UnmarshalText([]byte(s.String())))
	run(t, rules, restored,
		step{autoSlot(time.Second, 0), "R12 duplicate; every 24h, next +24h, guard auto +0s, served +0s"},
		step{autoSlot(day, day), "R5 scheduled, rotate, reschedule; every 24h, next +48h, guard auto +24h, served +24h"},
	)
}

// vault#18738: two roles could not be told apart in time, and fired together.
func TestPeers_FirstSlotsKeepCardsApart(t *testing.T) {
	one := after(t, rules, setFirst(0, day, 6*time.Hour), autoSlot(6*time.Hour, 6*time.Hour))
	two := after(t, rules, setFirst(0, day, 18*time.Hour), autoSlot(18*time.Hour, 18*time.Hour))
	if got, want := showState(one)+" and "+showState(two),
		"every 24h, next +30h, guard auto +6h, served +6h and every 24h, next +42h, guard auto +18h, served +18h"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
