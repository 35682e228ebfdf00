package main

import "testing"

func TestFind_SeesPhrasesWhereverTheyHide(t *testing.T) {
	phrases := parsePhrases("# a comment\nthe one before\nbe it \n")
	for name, row := range map[string]struct {
		file, text string
		found      bool
	}{
		"plain":                   {"README.md", "like the one before.", true},
		"another case":            {"README.md", "The One Before", true},
		"over two lines":          {"README.md", "like the one\n  before", true},
		"not there":               {"README.md", "the previous one", false},
		"a phrase with a space":   {"README.md", "maybe items", false},
		"that phrase, at the end": {"README.md", "so be it", true},
		"Go string":               {"a.go", "package a\nvar x = \"the one before\"", true},
		"added strings":           {"a.go", "package a\nvar x = \"the one \" +\n\t\"before\"", true},
		"two strings":             {"a.go", "package a\nvar x = []string{\"the one \", \"before\"}", false},
		"a string with slashes":   {"a.go", "package a\nvar x = \"see // the one before\"", true},
		"raw string":              {"a.go", "package a\nvar x = `a\n// the one before\n`", true},
		"a comment":               {"a.go", "package a\n\n// like the one before\nvar x = 1", false},
	} {
		t.Run(name, func(t *testing.T) {
			if found := find(phrases, row.file, []byte(row.text)); (len(found) > 0) != row.found {
				t.Errorf("found %q", found)
			}
		})
	}
}
