// Command genlog writes the log of a system that rotates CVVs, with three faulty
// cards among many, and the truth about them: what cvvsim verify must find.
//
//	go run ./sim/internal/genlog -seed 7 -dir /tmp
//
// The seed decides all of it: the format of the log, whether it is compressed,
// where it begins, the cards, the faults. It prints the command that judges it.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Truth is what is wrong with a log.
type Truth struct {
	File  string   `json:"file"`
	Flags []string `json:"flags"` // of cvvsim verify
	Cards []Faulty `json:"cards"` // by line
}

// Faulty is a faulty card.
type Faulty struct {
	Card  string    `json:"card"`
	Line  int       `json:"line"` // of its first wrong record
	At    time.Time `json:"at"`
	Fault string    `json:"fault"` // as cvvsim verify names it
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("genlog", flag.ContinueOnError)
	flags.SetOutput(stderr)
	seed := flags.Uint64("seed", 1, "decides everything")
	cards := flags.Int("cards", 1000, "number of cards, at least 10")
	dir := flags.String("dir", ".", "folder to write to")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	truth, err := write(*dir, *seed, max(10, *cards))
	if err != nil {
		fmt.Fprintln(stderr, "genlog:", err)
		return 1
	}
	for _, f := range truth.Cards {
		fmt.Fprintf(stdout, "%s:%d card %s: %s\n", truth.File, f.Line, f.Card, f.Fault)
	}
	fmt.Fprintf(stdout, "cvvsim verify %s %s\n", strings.Join(truth.Flags, " "), filepath.Join(*dir, truth.File))
	return 0
}

// write writes the log and, beside it, its truth.
func write(dir string, seed uint64, cards int) (Truth, error) {
	log, truth := generate(seed, cards)
	if strings.HasSuffix(truth.File, ".gz") {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, _ = z.Write(log) // a bytes.Buffer accepts everything
		_ = z.Close()
		log = packed.Bytes()
	}
	if err := os.WriteFile(filepath.Join(dir, truth.File), log, 0o600); err != nil {
		return truth, err
	}
	text, err := json.MarshalIndent(truth, "", "  ")
	if err != nil {
		return truth, err
	}
	return truth, os.WriteFile(filepath.Join(dir, fmt.Sprintf("truth-%d.json", seed)), append(text, '\n'), 0o600)
}
