package main

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"cvvrotation/sim"
	"cvvrotation/sim/internal/splitmix"
)

// faults are the faults of which each log has three.
var faults = []sim.Mistake{
	sim.MistakeInclusiveGuard, sim.MistakeGuard, sim.MistakeDrift, sim.MistakeServedTwice,
	sim.MistakeServedEarly, sim.MistakeLostSlot, sim.MistakeClockStep, sim.MistakeLostPrecision,
}

const days = 14

// generate returns a log and its truth.
func generate(seed uint64, cards int) ([]byte, Truth) {
	random := splitmix.New(splitmix.Mix(seed + 1))
	f := splitmix.Pick(&random, formats...)
	start := time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)
	end := start.AddDate(0, 0, days)

	first := int(random.Below(int64(len(faults))))
	var log []record
	for i := range cards {
		s := system{card: fmt.Sprintf("card-%04d", i), random: splitmix.New(splitmix.At(seed, uint64(i)))}
		if n := i / (cards / 3); i%(cards/3) == 1 && n < 3 { // three of them
			s.fault = faults[(first+3*n)%len(faults)]
			if s.fault == sim.MistakeServedTwice && f.noSlot {
				s.fault = sim.MistakeDrift // such a log does not show it
			}
			s.from = start.AddDate(0, 0, 9).Add(time.Duration(s.random.Below(int64(24 * time.Hour))))
		}
		s.live(start, end)
		log = append(log, s.log...)
	}
	slices.SortStableFunc(log, func(a, b record) int {
		return cmp.Or(a.event.At.Compare(b.event.At), cmp.Compare(a.card, b.card))
	})
	if random.Below(2) == 0 {
		log = log[len(log)/3:] // it begins in the middle
	}

	truth := Truth{File: fmt.Sprintf("log-%d.%s", seed, f.extension), Flags: f.flags}
	if random.Below(2) == 0 {
		truth.File += ".gz"
	}
	var out bytes.Buffer
	out.WriteString(f.header)
	seen := make(map[string]bool)
	for i, r := range log {
		if f.noise != "" && i%1000 == 10 {
			out.WriteString(f.noise)
		}
		text := f.line(r)
		out.WriteString(text)
		if text != "" && r.wrong != 0 && !seen[r.card] {
			seen[r.card] = true
			truth.Cards = append(truth.Cards, Faulty{r.card, bytes.Count(out.Bytes(), []byte("\n")), r.event.At.Truncate(f.precision), r.wrong.String()})
		}
	}
	out.WriteString(f.footer)
	return out.Bytes(), truth
}
