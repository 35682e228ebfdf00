// Command words finds the phrases of .ci/dialect.txt in what users read: documents,
// help, pages, schemas, configuration, and the string literals of Go code that is not
// a test. Decisions keep their voice. Arguments restrict it to paths:
//
//	go run ./cmd/internal/words rotation/engine
//
// Run it in the root of the repository.
package main

import (
	"bytes"
	"fmt"
	"go/scanner"
	"go/token"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
)

const phrasesFile = ".ci/dialect.txt"

func main() {
	found, err := check(os.Args[1:])
	for _, line := range found {
		fmt.Println(line)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2)
	}
	if len(found) > 0 {
		os.Exit(1)
	}
}

// check returns a line for each phrase found in the files that git lists below the
// paths: all files if there are none.
func check(paths []string) (found []string, err error) {
	text, err := os.ReadFile(phrasesFile)
	if err != nil {
		return nil, err
	}
	phrases := parsePhrases(string(text))
	files, err := exec.Command("git", append([]string{"ls-files", "-z", "--"}, paths...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("git ls-files: %w", err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(files), "\x00"), "\x00") {
		if name == "" || !isRead(name) {
			continue
		}
		source, err := os.ReadFile(name)
		if err != nil {
			return found, err
		}
		if bytes.IndexByte(source, 0) >= 0 {
			continue // not text
		}
		for _, phrase := range find(phrases, name, source) {
			found = append(found, name+": "+phrase)
		}
	}
	return found, nil
}

// parsePhrases returns the phrases in lower case, one a line. A space at a line's end
// belongs to its phrase.
func parsePhrases(text string) (phrases []string) {
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if line != "" && !strings.HasPrefix(line, "#") {
			phrases = append(phrases, strings.ToLower(line))
		}
	}
	return phrases
}

// isRead reports whether users read the file.
func isRead(name string) bool {
	return name != phrasesFile && !strings.HasSuffix(name, "_test.go") && !strings.HasPrefix(name, "docs/decisions/") &&
		!strings.Contains(name, "/testdata/") && path.Base(name) != "go.sum"
}

// find returns the phrases in a file's text. White space and the breaks of lines
// count as one space.
func find(phrases []string, name string, source []byte) (found []string) {
	text := string(source)
	if path.Ext(name) == ".go" {
		text = literals(source)
	}
	text = strings.ToLower(strings.Join(strings.Fields(text), " ")) + " "
	for _, phrase := range phrases {
		if i := strings.Index(text, phrase); i >= 0 {
			from, to := max(0, i-30), min(len(text), i+len(phrase)+30)
			found = append(found, fmt.Sprintf("%q in %q", phrase, text[from:to]))
		}
	}
	return found
}

// literals returns the string literals of Go source, apart from each other. Literals
// that are added up are one.
func literals(source []byte) string {
	var all strings.Builder
	var s scanner.Scanner
	set := token.NewFileSet()
	s.Init(set.AddFile("", -1, len(source)), source, nil, 0)
	var previous, before token.Token
	for {
		_, tok, lit := s.Scan()
		if tok == token.EOF {
			return all.String()
		}
		if tok == token.STRING {
			if previous != token.ADD || before != token.STRING {
				all.WriteString(" | ") // no phrase spans two literals
			}
			if text, err := strconv.Unquote(lit); err == nil {
				all.WriteString(text)
			}
		}
		before, previous = previous, tok
	}
}
