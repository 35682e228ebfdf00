// Package stories holds the built-in timelines: one a rule's consequence, each
// a file that opens with a comment which tells its story. The tests of the
// rules, the command line and the documents share them.
package stories

import (
	"bufio"
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed *.timeline
var files embed.FS

// order is the order of telling: from the rule to its edges.
var order = []string{
	"overview", "three-pm", "scenario-1", "scenario-2", "scenario-3", "chain", "chain-from-scheduling",
	"late", "twice", "step-back", "interval",
}

// Story is a built-in timeline.
type Story struct {
	Name   string // such as "scenario-1"
	Title  string // the first line of its comment
	Text   string // the comment's other lines, paragraphs apart by an empty line
	Source string // the whole file
}

// File returns the name of the story's file, which errors are reported under.
func (s Story) File() string { return s.Name + ".timeline" }

// All returns the stories in the order of telling.
func All() []Story {
	all := make([]Story, len(order))
	for i, name := range order {
		all[i] = read(name)
	}
	return all
}

// Find returns the story of that name.
func Find(name string) (s Story, ok bool) {
	for _, known := range order {
		if known == name {
			return read(name), true
		}
	}
	return Story{}, false
}

// read parses an embedded file; what is wrong with one is found by the tests.
func read(name string) Story {
	s := Story{Name: name}
	source, err := fs.ReadFile(files, s.File())
	if err != nil {
		panic(fmt.Sprintf("stories: %v", err))
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
