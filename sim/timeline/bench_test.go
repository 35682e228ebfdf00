package timeline_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"cvvrotation/sim"
	"cvvrotation/sim/must"
	"cvvrotation/sim/timeline"
)

// BenchmarkReplayJSONL measures reading, deciding and writing a JSON Lines
// timeline against a loop that only decodes the same lines with the same
// library. The figure to compare is ns/op of one line.
func BenchmarkReplayJSONL(b *testing.B) {
	source := benchTimeline(10_000)
	lines := bytes.Count(source, []byte("\n"))

	b.Run("baseline=decode", func(b *testing.B) {
		b.ReportAllocs()
		for n := 0; n < b.N; {
			scanner := bufio.NewScanner(bytes.NewReader(source))
			for n < b.N && scanner.Scan() {
				var line struct {
					At          string  `json:"at"`
					Card        string  `json:"card"`
					Event       string  `json:"event"`
					ServiceCode *string `json:"service_code"`
					Slot        *string `json:"slot"`
					Interval    *string `json:"interval"`
				}
				must.Do(b, json.Unmarshal(scanner.Bytes(), &line, json.RejectUnknownMembers(true)))
				n++
			}
		}
	})
	for _, output := range []bool{false, true} {
		b.Run(fmt.Sprintf("replay/write=%v", output), func(b *testing.B) {
			b.ReportAllocs()
			for n := 0; n < b.N; {
				r := timeline.NewReader(bytes.NewReader(source), "bench")
				rules := must.Get(r.Rules())(b)
				replay := sim.NewReplay(rules)
				w := timeline.NewWriter(io.Discard, timeline.SpellingJSONL, rules)
				for range min(lines, b.N-n) {
					e := must.Get(r.Next())(b)
					step := must.Get(replay.Apply(e))(b)
					if output {
						step.Entry.Expect = step.Outcome()
						must.Do(b, w.Write(step.Entry))
					}
					n++
				}
			}
		})
	}
}

// benchTimeline is the log of 100 cards: automatic with their slots, and every
// tenth event forced.
func benchTimeline(events int) []byte {
	var b bytes.Buffer
	at := start
	for i := range events {
		card := i % 100
		stamp := at.Format(time.RFC3339Nano)
		switch {
		case i < 100:
			fmt.Fprintf(&b, `{"at":%q,"card":"card-%04d","event":"set_interval","interval":"1h"}`, stamp, card)
		case i%10 == 0:
			fmt.Fprintf(&b, `{"at":%q,"card":"card-%04d","event":"forced","service_code":"201"}`, stamp, card)
		default:
			fmt.Fprintf(&b, `{"at":%q,"card":"card-%04d","event":"auto","slot":%q}`, stamp, card, stamp)
		}
		b.WriteByte('\n')
		at = at.Add(36 * time.Second)
	}
	return b.Bytes()
}

var start = at("2026-11-22T15:00:00Z")
