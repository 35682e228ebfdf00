package main

import (
	"bufio"
	"fmt"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation"
	"cvvrotation/sim"
	"cvvrotation/sim/timeline"
)

// merged writes the steps of several files as one timeline. It refuses files that have
// a card in common, or other rules: as one timeline they would be decided otherwise.
type merged struct {
	out      *bufio.Writer
	spelling timeline.Spelling
	writer   *timeline.Writer
	rules    rotation.Rules
	first    string            // the file that the rules are of
	files    map[string]string // of each card; nil for a single file
}

func newMerged(out *bufio.Writer, output string, files int) *merged {
	m := &merged{out: out, spelling: timeline.SpellingJSONL}
	if output == "timeline" {
		m.spelling = timeline.SpellingText
	}
	if files > 1 {
		m.files = make(map[string]string)
	}
	return m
}

// sink returns the sink of the file with that place among the files.
func (m *merged) sink(rules rotation.Rules, name string, place int) sink {
	file := fmt.Sprintf("%s (file %d)", name, place)
	step := func(s sim.Step) error {
		switch {
		case m.writer == nil:
			m.writer, m.rules, m.first = timeline.NewWriter(m.out, m.spelling, rules), rules, file
		case rules != m.rules:
			return m.refuse("its rules are %v, and those of %s %v", rules, m.first, m.rules)
		}
		if m.files != nil {
			if other, met := m.files[s.Entry.Card]; met && other != file {
				return m.refuse("card %s is in %s, too", printable(s.Entry.Card), other)
			}
			m.files[s.Entry.Card] = file
		}
		s.Entry.Expect = s.Outcome()
		return m.writer.Write(s.Entry)
	}
	return sink{step: step, close: func(bool) error { return nil }}
}

func (m *merged) refuse(format string, args ...any) error {
	return command.Hint(fmt.Errorf("the output would be one timeline that is decided otherwise: "+format, args...), "run the command once for each file")
}
