package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation/service/audit"
)

func (c *cli) auditCommand() *cobra.Command {
	var output string
	verify := &cobra.Command{
		Use: "verify FILE...",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return command.Refuse("name the files, oldest first; - is standard input", "%s: a file is needed", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(outputs, cobra.Completion(output)) {
				return command.Refuse("run "+cmd.CommandPath()+" --help", "-o %s: must be one of text, json", output)
			}
			return c.verifyAudit(args, output)
		},
	}
	verify.Flags().StringVarP(&output, "output", "o", "text", "")
	verify.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(outputs, cobra.ShellCompDirectiveNoFileComp))
	return command.Group("audit", verify)
}

// verifyAudit checks the files and prints what it found, also before an error.
func (c *cli) verifyAudit(files []string, output string) error {
	var v audit.Verifier
	var failed error
	for _, name := range files {
		if failed = c.verifyFile(&v, name); failed != nil {
			failed = command.Usage(failed)
			break
		}
	}
	chained := func(f audit.FileReport) bool { return f.Records > 0 }
	if failed == nil && !slices.ContainsFunc(v.Files, chained) {
		failed = command.Refuse("records have a seq and a hash if log.audit_file is a file of this version", "no chained record was found, so nothing was checked")
	}
	print := printAuditText
	if output == "json" {
		print = printAuditJSON
	}
	if err := errors.Join(failed, print(c.Stdout, &v)); err != nil {
		return err
	}
	if len(v.Problems) > 0 {
		return command.Status(command.ExitFailed)
	}
	if output == "text" {
		_, failed = fmt.Fprintln(c.Stdout, "no problem")
	}
	return failed
}

func (c *cli) verifyFile(v *audit.Verifier, name string) error {
	if name == "-" {
		return v.File("-", c.Stdin)
	}
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	return v.File(name, file)
}

func printAuditJSON(w io.Writer, v *audit.Verifier) error {
	return json.NewEncoder(w).Encode(struct {
		Files    []audit.FileReport `json:"files"`
		Problems []audit.Problem    `json:"problems"`
		Unlisted int                `json:"unlisted_problems,omitempty"`
	}{append([]audit.FileReport{}, v.Files...), append([]audit.Problem{}, v.Problems...), v.Unlisted})
}

func printAuditText(w io.Writer, v *audit.Verifier) error {
	var errs []error
	line := func(format string, args ...any) {
		_, err := fmt.Fprintf(w, format+"\n", args...)
		errs = append(errs, err)
	}
	for _, p := range v.Problems {
		line("%s:%d: %s: %s", p.File, p.Line, p.Kind, p.Detail)
	}
	if v.Unlisted > 0 {
		line("and %s more", count(int64(v.Unlisted), "problem"))
	}
	for i, f := range v.Files {
		if f.Records == 0 {
			line("%s: no chained record", f.File)
		} else {
			line("%s: %s, last seq %d, hash %s", f.File, count(f.Records, "chained record"), f.Last.Seq, f.Last.Hash)
		}
		if f.Unchained > 0 {
			line("%s: %s before the chain, unprotected", f.File, count(f.Unchained, "record"))
		}
		if f.Incomplete > 0 {
			line("%s: %s, first line %d: a crash or a full disk", f.File, count(f.Incomplete, "incomplete line"), f.FirstIncomplete)
		}
		switch {
		case f.Continues.Seq > 0:
			line("%s: continues the file that ends with seq %d, hash %s", f.File, f.Continues.Seq, f.Continues.Hash)
		case i > 0 && f.Records > 0:
			line("%s: names no previous file", f.File)
		}
	}
	if len(v.Problems) > 0 {
		line("%s", count(int64(len(v.Problems)+v.Unlisted), "problem"))
	}
	return errors.Join(errs...)
}
