// Package scenarios holds the built-in timelines. Each shows one consequence of the
// rules, and opens with a comment that describes it. The tests of the rules, the
// command line and the documents share them.
package scenarios

import (
	"bufio"
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed *.timeline
var files embed.FS

// order lists the scenarios from the main rule to its edges.
var order = []string{
	"overview", "three-pm", "scenario-1", "scenario-2", "scenario-3", "chain", "chain-from-scheduling",
	"late", "twice", "step-back", "interval",
}

// Scenario is a built-in timeline.
type Scenario struct {
	Name   string // such as "scenario-1"
	Title  string // the first line of its comment
	Text   string // the comment's other lines, paragraphs apart by an empty line
	Source string // the whole file
}

// File returns the name of the scenario's file, for error messages.
func (s Scenario) File() string { return s.Name + ".timeline" }

// All returns the scenarios, from the main rule to its edges.
func All() []Scenario {
	all := make([]Scenario, len(order))
	for i, name := range order {
		all[i] = read(name)
	}
	return all
}

// Find returns the scenario of that name; ok is false when there is none.
func Find(name string) (s Scenario, ok bool) {
	for _, known := range order {
		if known == name {
			return read(name), true
		}
	}
	return Scenario{}, false
}

// read parses an embedded file; the tests find what is wrong with one.
func read(name string) Scenario {
	s := Scenario{Name: name}
	source, err := fs.ReadFile(files, s.File())
	if err != nil {
		panic(fmt.Sprintf("scenarios: %v", err))
	}
	s.Source = string(source)
	var text []string
	lines := bufio.NewScanner(strings.NewReader(s.Source))
	for lines.Scan() {
		comment, ok := strings.CutPrefix(lines.Text(), "#")
		if !ok {
			break
		}
		text = append(text, strings.TrimSpace(comment))
	}
	s.Title = text[0]
	s.Text = strings.TrimSpace(strings.Join(text[1:], "\n"))
	return s
}
