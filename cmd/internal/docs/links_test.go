package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cvvrotation/sim/must"
)

const root = "../../.."

// files returns the paths, from the root, of the files with these extensions.
func files(t *testing.T, extensions ...string) []string {
	t.Helper()
	var found []string
	must.Do(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if slices.Contains(extensions, filepath.Ext(path)) {
			name, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			found = append(found, name)
		}
		return nil
	}))
	return found
}

func read(t *testing.T, name string) string {
	t.Helper()
	b := must.Get(os.ReadFile(filepath.Join(root, name)))(t)
	return string(b)
}

var (
	fence     = regexp.MustCompile("(?ms)^```.*?^```$")
	indented  = regexp.MustCompile(`(?m)^    .*$`)
	codeSpan  = regexp.MustCompile("`[^`\n]*`")
	link      = regexp.MustCompile(`(?m)(?:\]\(|^\[[^\]]+\]: +|(?:href|src)=")([^)\s"]+)`)
	heading   = regexp.MustCompile(`(?m)^#+ (.+)$`)
	id        = regexp.MustCompile(`<a id="([^"]+)">`)
	notInSlug = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors returns the anchors of a page as GitHub makes them.
func anchors(page string) []string {
	var found []string
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
		slug := strings.ReplaceAll(notInSlug.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")
		for base, n := slug, 1; slices.Contains(found, slug); n++ {
			slug = base + "-" + string(rune('0'+n))
		}
		found = append(found, slug)
	}
	for _, m := range id.FindAllStringSubmatch(page, -1) {
		found = append(found, m[1])
	}
	return found
}

// broken returns what is wrong with a link in a file, "" if nothing is.
func broken(t *testing.T, from, target string) string {
	t.Helper()
	path, anchor, hasAnchor := strings.Cut(target, "#")
	if path = filepath.Join(filepath.Dir(from), path); strings.HasPrefix(target, "#") {
		path = from
	}
	if !filepath.IsLocal(path) {
		return "a path outside the repository: " + path
	}
	if _, err := os.Stat(filepath.Join(root, path)); err != nil {
		return "no file " + path
	}
	if hasAnchor && !slices.Contains(anchors(read(t, path)), anchor) {
		return "no anchor #" + anchor + " in " + path
	}
	return ""
}

func TestLinks_ResolveInMarkdown(t *testing.T) {
	links := 0
	for _, file := range files(t, ".md") {
		text := codeSpan.ReplaceAllString(fence.ReplaceAllString(read(t, file), ""), "")
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			links++
			if wrong := broken(t, file, m[1]); wrong != "" {
				t.Errorf("%s: link %s: %s", file, m[1], wrong)
			}
		}
	}
	if links < 100 {
		t.Errorf("found only %d links", links)
	}
}

// Code, configuration and alerts name documents by their path from the root.
func TestLinks_ResolveInCodeAndConfiguration(t *testing.T) {
	reference := regexp.MustCompile(`\b(?:docs/[\w./-]+\.(?:md|svg)|(?:README|DESIGN|CONTRIBUTING|CHANGELOG|SECURITY)\.md)(?:#[\w-]+)?`)
	references := 0
	for _, file := range files(t, ".go", ".txt", ".toml", ".yaml", ".yml", ".json", ".tmpl", ".html", ".service") {
		if strings.HasPrefix(file, "cmd/internal/docs/") {
			continue // which has examples
		}
		for _, target := range reference.FindAllString(read(t, file), -1) {
			references++
			if wrong := broken(t, "README.md", target); wrong != "" {
				t.Errorf("%s: %s: %s", file, target, wrong)
			}
		}
	}
	if references < 10 {
		t.Errorf("found only %d references", references)
	}
}

// Every rule and scenario that a document names is a link to its sentence.
func TestLinks_RulesAreLinked(t *testing.T) {
	rule := regexp.MustCompile(`\b[RS]\d+\b`)
	linked := regexp.MustCompile(`\[[^\]\n]*\]\([^)]*\)`)
	for _, file := range files(t, ".md") {
		if file == "docs/rules.md" || file == "CHANGELOG.md" {
			continue
		}
		text := read(t, file)
		for _, no := range []*regexp.Regexp{fence, indented, codeSpan, linked} {
			text = no.ReplaceAllString(text, "")
		}
		for _, m := range rule.FindAllString(text, -1) {
			t.Errorf("%s: %s is no link to docs/rules.md", file, m)
		}
	}
}

// DESIGN.md lists each decision by its number and its title, and no two share a number.
func TestDesign_ListsEveryDecisionOnce(t *testing.T) {
	decision := regexp.MustCompile(`(?m)^## <a id="d(\d+)"></a>(\d+)\. (.+)$`)
	listed := strings.Join(strings.Fields(read(t, "DESIGN.md")), " ")
	of := make(map[string]string)
	for _, file := range files(t, ".md") {
		if filepath.Dir(file) != "docs/decisions" {
			continue
		}
		for _, m := range decision.FindAllStringSubmatch(read(t, file), -1) {
			number, title := m[1], strings.ReplaceAll(m[3], "(../", "(docs/")
			if m[2] != number {
				t.Errorf("%s: decision %s has the anchor d%s", file, m[2], number)
			}
			if other, taken := of[number]; taken {
				t.Errorf("decision %s is both %q and %q", number, other, title)
			}
			of[number] = title
			if entry := "[" + number + "](" + file + "#d" + number + ") " + title; !strings.Contains(listed, entry) {
				t.Errorf("DESIGN.md has no %q", entry)
			}
		}
	}
	if len(of) < 50 {
		t.Errorf("found only %d decisions", len(of))
	}
}

// The map in DESIGN.md has a line for each folder with a package, and a package
// imports those of lines above its own.
func TestDesign_MapNamesEveryPackageBelowItsImports(t *testing.T) {
	line := make(map[string]int)
	for n, m := range regexp.MustCompile(`(?m)^    ([a-z][\w/]*) +\S`).FindAllStringSubmatch(fence.ReplaceAllString(read(t, "DESIGN.md"), ""), -1) {
		line[m[1]] = n + 1
	}
	module, _, _ := strings.Cut(strings.TrimPrefix(read(t, "go.mod"), "module "), "\n")
	found := make(map[string]bool)
	for _, file := range files(t, ".go") {
		folder := filepath.ToSlash(filepath.Dir(file))
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		if !found[folder] && line[folder] == 0 {
			t.Errorf("DESIGN.md has no line for %s", folder)
		}
		found[folder] = true
		parsed := must.Get(parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.ImportsOnly))(t)
		for _, spec := range parsed.Imports {
			imported, own := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), module+"/")
			if own && line[imported] >= line[folder] {
				t.Errorf("%s imports %s, which DESIGN.md has below it", file, imported)
			}
		}
	}
	for folder := range line {
		if !found[folder] {
			t.Errorf("DESIGN.md has %s, which is no package", folder)
		}
	}
}
