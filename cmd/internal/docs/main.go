// Command docs copies code and output into the documents. It fills the block
// below each marker, and with -check it reports blocks that differ instead.
//
// In a Markdown file a marker is a line of its own, followed by a fenced block:
//
//	<!-- example: rotation Example_poll -->      the body of an Example
//	<!-- example: rotation Example_poll/for -->  the first loop in it
//	<!-- example: rotation issuer.apply card --> other declarations, whole
//	<!-- output: rotation Example_poll -->       the Output comment of an Example
//	<!-- run: cvvsim scenarios three-pm -->      what the command prints; lines=3-12
//	                                             in front of it cuts the output
//	<!-- file: sim/scenarios/twice.timeline -->  a file
//
// In a Go comment a marker is a line that ends in the name of an Example of the
// same folder and a colon, such as "The loop (Example_poll):", followed by an
// indented block. "the loop of Example_poll:" copies its first loop alone.
//
// Run it in the root of the repository.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stderr))
}

func run(args []string, stderr io.Writer) int {
	flags := flag.NewFlagSet("docs", flag.ContinueOnError)
	flags.SetOutput(stderr)
	check := flags.Bool("check", false, "report blocks that differ and write nothing")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	files := flags.Args()
	if len(files) == 0 {
		out, err := exec.Command("git", "ls-files", "*.md", "*.go").Output()
		if err != nil {
			fmt.Fprintln(stderr, "docs: git ls-files:", err)
			return 2
		}
		files = strings.Fields(string(out))
	}

	status := 0
	for _, file := range files {
		before, err := os.ReadFile(file)
		if err != nil {
			fmt.Fprintln(stderr, "docs:", err)
			return 2
		}
		after, err := fill(file, string(before))
		switch {
		case err != nil:
			fmt.Fprintf(stderr, "docs: %s: %v\n", file, err)
			return 2
		case after == string(before):
		case *check:
			fmt.Fprintf(stderr, "%s: a block differs from its source: run make docs\n", file)
			status = 1
		default:
			if err := os.WriteFile(file, []byte(after), 0o644); err != nil {
				fmt.Fprintln(stderr, "docs:", err)
				return 2
			}
			fmt.Fprintln(stderr, "filled", file)
		}
	}
	return status
}

// fill returns the text of a file with all its blocks filled.
func fill(file, text string) (string, error) {
	if filepath.Ext(file) == ".go" {
		return fillComments(filepath.Dir(file), text)
	}
	return fillMarkdown(text)
}

var marker = regexp.MustCompile(`^<!-- (example|output|run|file): (.+) -->$`)

// fillMarkdown replaces the contents of each fenced block that follows a marker.
func fillMarkdown(text string) (string, error) {
	lines := strings.SplitAfter(text, "\n")
	var b strings.Builder
	for i := 0; i < len(lines); i++ {
		b.WriteString(lines[i])
		m := marker.FindStringSubmatch(strings.TrimSpace(lines[i]))
		if m == nil {
			if strings.HasPrefix(strings.TrimSpace(lines[i]), "<!--") {
				return "", fmt.Errorf("line %d: a comment that is no marker of example, output, run or file", i+1)
			}
			continue
		}
		content, err := source(m[1], m[2])
		if err != nil {
			return "", fmt.Errorf("line %d: %w", i+1, err)
		}
		end := i + 2
		for end < len(lines) && !strings.HasPrefix(lines[end], "```") {
			end++
		}
		if end >= len(lines) || !strings.HasPrefix(lines[i+1], "```") {
			return "", fmt.Errorf("line %d: no fenced block follows the marker", i+1)
		}
		b.WriteString(lines[i+1])
		b.WriteString(content)
		i = end - 1
	}
	return b.String(), nil
}

// source returns what belongs into the block of a marker.
func source(kind, argument string) (string, error) {
	switch words := strings.Fields(argument); kind {
	case "run":
		return output(words)
	case "file":
		content, err := os.ReadFile(argument)
		return string(content), err
	default:
		if len(words) < 2 {
			return "", fmt.Errorf("the marker %q needs a folder and a name", argument)
		}
		var parts []string
		for _, name := range words[1:] {
			part, err := declaration(words[0], name, kind == "output")
			if err != nil {
				return "", err
			}
			parts = append(parts, part)
		}
		return strings.Join(parts, "\n"), nil
	}
}

// output runs a command of this repository and returns what it prints.
func output(words []string) (string, error) {
	from, to := 1, 0
	if cut, ok := strings.CutPrefix(words[0], "lines="); ok {
		first, last, _ := strings.Cut(cut, "-")
		var err error
		if from, err = strconv.Atoi(first); err != nil {
			return "", err
		}
		if to, err = strconv.Atoi(last); err != nil {
			return "", err
		}
		words = words[1:]
	}
	var stderr bytes.Buffer
	cmd := exec.Command("go", append([]string{"run", "./cmd/" + words[0]}, words[1:]...)...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(words, " "), err, &stderr)
	}
	lines := strings.SplitAfter(strings.TrimSpace(string(out))+"\n", "\n")
	lines = lines[:len(lines)-1]
	if to == 0 || to > len(lines) {
		to = len(lines)
	}
	return strings.Join(lines[from-1:to], ""), nil
}

// declaration returns a declaration of the package in a folder, tests included:
// name is that of a function, a type or a method (type.method). Of an Example it
// returns the body, or the text of its Output comment.
func declaration(folder, name string, wantOutput bool) (string, error) {
	name, loopOnly := strings.CutSuffix(name, "/for")
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		return "", err
	}
	for _, file := range files {
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, file, nil, parser.ParseComments)
		if err != nil {
			return "", err
		}
		src, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		text := func(from, to token.Pos) string { return string(src[set.Position(from).Offset:set.Position(to).Offset]) }
		for _, d := range parsed.Decls {
			if nameOf(d) != name {
				continue
			}
			f, isFunc := d.(*ast.FuncDecl)
			if !isFunc || !strings.HasPrefix(name, "Example") {
				return text(startOf(d), d.End()) + "\n", nil
			}
			if loopOnly {
				var loop ast.Node
				ast.Inspect(f, func(n ast.Node) bool {
					switch n.(type) {
					case *ast.ForStmt, *ast.RangeStmt:
						if loop == nil {
							loop = n
						}
					}
					return loop == nil
				})
				if loop == nil {
					return "", fmt.Errorf("no loop in %s", name)
				}
				return dedent(text(loop.Pos(), loop.End())) + "\n", nil
			}
			body := dedent(strings.Trim(text(f.Body.Lbrace+1, f.Body.Rbrace), "\n\t"))
			code, printed, _ := strings.Cut(body, "// Output:\n")
			if wantOutput {
				return strings.ReplaceAll(strings.ReplaceAll(printed, "// ", ""), "//\n", "\n") + "\n", nil
			}
			return strings.TrimRight(code, "\n") + "\n", nil
		}
	}
	return "", fmt.Errorf("no %s in folder %s", name, folder)
}

// nameOf returns the name of a declaration, type.method of a method.
func nameOf(d ast.Decl) string {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			return d.Name.Name
		}
		var receiver bytes.Buffer
		_ = printer.Fprint(&receiver, token.NewFileSet(), d.Recv.List[0].Type)
		return strings.TrimPrefix(receiver.String(), "*") + "." + d.Name.Name
	case *ast.GenDecl:
		if t, ok := d.Specs[0].(*ast.TypeSpec); ok && len(d.Specs) == 1 {
			return t.Name.Name
		}
	}
	return ""
}

// startOf returns where a declaration starts, its comment included.
func startOf(d ast.Decl) token.Pos {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Doc != nil {
			return d.Doc.Pos()
		}
	case *ast.GenDecl:
		if d.Doc != nil {
			return d.Doc.Pos()
		}
	}
	return d.Pos()
}

// dedent removes one tab in front of each line but the first, which has none.
func dedent(s string) string { return strings.ReplaceAll(s, "\n\t", "\n") }

var commentMarker = regexp.MustCompile(`^(\s*)// .*?(the loop of )?\b(Example\w*)\)?:$`)

// fillComments replaces the indented block behind each comment line that names an
// Example.
func fillComments(folder, text string) (string, error) {
	lines := strings.Split(text, "\n")
	var out []string
	for i := 0; i < len(lines); i++ {
		out = append(out, lines[i])
		m := commentMarker.FindStringSubmatch(lines[i])
		if m == nil {
			continue
		}
		comment := m[1] + "//"
		if i+1 >= len(lines) || lines[i+1] != comment {
			return "", fmt.Errorf("line %d: no indented block follows %s", i+1, m[3])
		}
		name := m[3]
		if m[2] != "" {
			name += "/for"
		}
		content, err := declaration(folder, name, false)
		if err != nil {
			return "", fmt.Errorf("line %d: %w", i+1, err)
		}
		out = append(out, comment)
		for line := range strings.Lines(content) {
			out = append(out, strings.TrimRight(comment+"\t"+line, "\t\n"))
		}
		for i += 2; i < len(lines) && (strings.HasPrefix(lines[i], comment+"\t") || lines[i] == comment && i+1 < len(lines) && strings.HasPrefix(lines[i+1], comment+"\t")); i++ {
		}
		i--
	}
	return strings.Join(out, "\n"), nil
}
