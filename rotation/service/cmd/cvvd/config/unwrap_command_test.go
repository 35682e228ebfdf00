package config

import (
	"context"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cvvrotation/sim/must"
)

// TestGenerator_UnwrapCommandDecryptsBothKeyFiles: only the command's output is usable
// as keys.
func TestGenerator_UnwrapCommandDecryptsBothKeyFiles(t *testing.T) {
	c, dir := good(t)
	c.CVV.Kind, c.CVV.ExpiryOrder, c.CVV.CVKFile = "derived", "YYMM", filepath.Join(dir, "cvk")
	c.Keys.UnwrapCommand = []string{"base64", "--decode"}
	wrap := func(file, text string) {
		must.Do(t, os.WriteFile(file, []byte(base64.StdEncoding.EncodeToString([]byte(text))), 0o600))
	}
	plain := string(must.Get(os.ReadFile(c.Keys.SealingFile))(t))
	wrap(c.Keys.SealingFile, plain)
	wrap(c.CVV.CVKFile, "0123456789ABCDEFFEDCBA9876543210\n")
	must.Do(t, c.Check(t.Context(), "keys", "cvv"))

	wrap(c.CVV.CVKFile, "0123\n")
	var wrong *FieldError
	if err := c.Check(t.Context(), "keys"); !errors.As(err, &wrong) || wrong.Field != "cvv.cvk_file" || strings.Contains(wrong.Detail, "encrypted") {
		t.Errorf("a short CVK: %v", err)
	}
	wrap(c.CVV.CVKFile, "0123456789ABCDEFFEDCBA9876543210")
	must.Do(t, os.WriteFile(c.Keys.SealingFile, []byte(plain), 0o600))
	if err := c.Check(t.Context(), "keys"); !errors.As(err, &wrong) || wrong.Field != "keys.unwrap_command" {
		t.Errorf("a file that is not wrapped: %v", err)
	}
	wrap(c.Keys.SealingFile, plain)
	c.Keys.UnwrapCommand = nil
	if err := c.Check(t.Context(), "keys"); !errors.As(err, &wrong) || wrong.Field != "keys.sealing_file" || !strings.Contains(wrong.Detail, "is it encrypted? Then set keys.unwrap_command") {
		t.Errorf("a wrapped file without a command: %v", err)
	}
	c.Keys.UnwrapCommand, c.Keys.SealingFile, c.Keys.Sealing = []string{"cat"}, "", NewSecret(plain)
	if err := c.Check(t.Context(), "keys"); !errors.As(err, &wrong) || wrong.Field != "keys.sealing" {
		t.Errorf("a variable beside a command: %v", err)
	}
}

// TestUnwrap_PassesBytesUnchanged: what is wrapped may be binary.
func TestUnwrap_PassesBytesUnchanged(t *testing.T) {
	want := "\n\x00 \xff key \n\n"
	if got := must.Get(unwrap(t.Context(), []string{"cat"}, []byte(want), time.Minute))(t); string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
	t.Setenv("CVVD_KEYS_SEALING", "1:secret")
	t.Setenv("KMS_REGION", "eu")
	env := string(must.Get(unwrap(t.Context(), []string{"env"}, nil, time.Minute))(t))
	if strings.Contains(env, "CVVD_") || !strings.Contains(env, "KMS_REGION=eu") {
		t.Error("the command's environment must have all variables but CVVD_*")
	}
	for _, variable := range os.Environ() { // t.Setenv restores them
		name, _, _ := strings.Cut(variable, "=")
		t.Setenv(name, "")
		os.Unsetenv(name)
	}
	t.Setenv("CVVD_KEYS_SEALING", "1:secret")
	env = string(must.Get(unwrap(t.Context(), []string{"/bin/sh", "-c", "env; echo end"}, nil, time.Minute))(t))
	if strings.Contains(env, "CVVD_") || !strings.HasSuffix(env, "end\n") {
		t.Error("a daemon with CVVD_* variables alone passed them to the command")
	}
}

func TestUnwrap_ErrorSaysWhatFailedWithoutTheKeys(t *testing.T) {
	const secret = "1:q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="
	sh := func(script string) []string { return []string{"sh", "-c", script} }
	for name, test := range map[string]struct {
		command []string
		timeout time.Duration
		want    string
	}{
		"no such program": {[]string{"/nonexistent/kms"}, time.Minute, "/nonexistent/kms: fork/exec /nonexistent/kms: no such file or directory"},
		"not in PATH":     {[]string{"no-such-kms"}, time.Minute, `no-such-kms: exec: "no-such-kms": executable file not found in $PATH`},
		"fails":           {sh("echo before >&2; echo 'AccessDenied: kms:Decrypt' >&2; exit 3"), time.Minute, "sh: exit status 3: AccessDenied: kms:Decrypt"},
		"fails silently":  {sh("exit 4"), time.Minute, "sh: exit status 4"},
		"prints its input to standard error": {
			sh("cat >&2; exit 1"), time.Minute, "sh: exit status 1: [redacted]"},
		"prints the halves of a key": {
			sh("echo 'Bad parity in key 0123456789ABCDEF FEDCBA9876543210' >&2; exit 1"), time.Minute, "sh: exit status 1: [redacted] parity in key [redacted] [redacted]"},
		"prints a key in groups": {
			sh("echo 'rejected: 0123 FEDC ab cd 0x45 98' >&2; exit 1"), time.Minute, "sh: exit status 1: rejected: [redacted] [redacted] [redacted] [redacted] [redacted] [redacted]"},
		"prints bytes between colons": {
			sh("echo 'key 01:AB:cd:EF, AB:CD:EF' >&2; exit 1"), time.Minute, "sh: exit status 1: key [redacted] [redacted]"},
		"prints base64 in lines of letters": {
			sh("echo 'sLGgSgFJfwCKsNqK uJiNdqKjLCtKabcd' >&2; exit 1"), time.Minute, "sh: exit status 1: [redacted] [redacted]"},
		"prints a URL with a token": {
			sh("echo 'GET https://user:hunter@kms/?t=s.abcdef (refused).' >&2; exit 1"), time.Minute, "sh: exit status 1: GET [redacted] (refused)."},
		"prints a key where the message is cut": {
			sh("printf '%0290d' 0 | tr 0 ' ' >&2; printf 'key%0280dx' 0 | tr 0 ' ' >&2; cat >&2; exit 1"), time.Minute, "sh: exit status 1: key [redacted]"},
		"prints keys and fails":     {sh("cat; exit 1"), time.Minute, "sh: exit status 1"},
		"escapes for the terminal":  {sh(`printf '\033[mred\a\n' >&2; exit 1`), time.Minute, "sh: exit status 1: [mred"},
		"prints nothing":            {sh("cat >/dev/null"), time.Minute, "sh printed nothing: it must read the file's content from standard input and print the keys"},
		"prints white space":        {sh("echo; echo"), time.Minute, "sh printed nothing: it must read the file's content from standard input and print the keys"},
		"prints without end":        {sh("yes"), time.Minute, "sh printed more than 1048576 bytes"},
		"never ends":                {sh("exec sleep 600"), 50 * time.Millisecond, "sh did not end within 50ms and was stopped"},
		"a child keeps output open": {sh("sleep 600 & echo x"), 50 * time.Millisecond, "sh did not end within 50ms and was stopped"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := unwrap(t.Context(), test.command, []byte(secret), test.timeout)
			if err == nil || got != nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Fatalf("%q, %v; want %s", got, err, test.want)
			}
			if strings.Contains(err.Error(), "q83") {
				t.Error("the error contains the key")
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := unwrap(ctx, []string{"cat"}, []byte(secret), time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
