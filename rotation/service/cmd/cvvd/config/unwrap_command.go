package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"cvvrotation/rotation/service/internal/filemode"
)

// unwrapTimeout is the maximum time that the command may take for one file.
const unwrapTimeout = 10 * time.Second

// keyFile returns the secret of a file, which the command decrypts if one is set.
func (c *Config) keyFile(ctx context.Context, field string, direct Secret, file string) (string, error) {
	if len(c.Keys.UnwrapCommand) == 0 {
		return secret(field, direct, file)
	}
	if direct.IsSet() {
		return "", &FieldError{field, "must not be set together with keys.unwrap_command, which decrypts " + field + "_file"}
	}
	wrapped, err := secretBytes(field, direct, file)
	if err != nil {
		return "", err
	}
	plain, err := unwrap(ctx, c.Keys.UnwrapCommand, wrapped, unwrapTimeout)
	if err != nil {
		return "", &FieldError{"keys.unwrap_command", fmt.Sprintf("decrypting %s (%s_file): %v", file, field, err)}
	}
	defer clear(plain)
	return strings.TrimSpace(string(plain)), nil
}

// keyError says what is wrong with a key, and names the setting that it came from.
func (c *Config) keyError(field string, direct Secret, detail string) *FieldError {
	switch {
	case direct.IsSet():
		return &FieldError{field, detail}
	case len(c.Keys.UnwrapCommand) > 0:
		return &FieldError{field + "_file", detail + " (in the output of keys.unwrap_command)"}
	}
	return &FieldError{field + "_file", detail + " (is it encrypted? Then set keys.unwrap_command)"}
}

// unwrap runs the command with the wrapped keys as its input and returns its output.
// The error contains neither. A program that all users of the machine may change, or
// replace, is not run.
func unwrap(ctx context.Context, command []string, wrapped []byte, timeout time.Duration) ([]byte, error) {
	if program, err := exec.LookPath(command[0]); err == nil { // else Run says why
		if err := filemode.Trusted(program); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.WaitDelay = time.Second // for a child of the command that keeps its output open
	mayBeSecret := func(variable string) bool { return strings.HasPrefix(variable, "CVVD_") }
	cmd.Env = slices.DeleteFunc(os.Environ(), mayBeSecret) // not nil, which would pass all of them
	var out, messages limitedBuffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(wrapped), &out, &messages
	err := cmd.Run()
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		err = fmt.Errorf("%s did not end within %v and was stopped", command[0], timeout)
	case ctx.Err() != nil:
		err = ctx.Err()
	case out.full:
		err = fmt.Errorf("%s printed more than %d bytes", command[0], maxFile)
	case err == nil && len(bytes.TrimSpace(out.bytes)) == 0:
		err = fmt.Errorf("%s printed nothing: it must read the file's content from standard input and print the keys", command[0])
	case err != nil:
		err = errors.New(strings.TrimSuffix(fmt.Sprintf("%s: %v: %s", command[0], err, lastLine(messages.bytes)), ": "))
	}
	if err != nil {
		clear(out.bytes)
		return nil, err
	}
	return out.bytes, nil
}

// limitedBuffer accepts up to maxFile bytes. An error of Write closes the program's
// output, which ends the program. It is no bytes.Buffer, whose ReadFrom would bypass
// the limit.
type limitedBuffer struct {
	bytes []byte
	full  bool
}

// Write implements io.Writer.
func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.full = b.full || len(b.bytes)+len(p) > maxFile; b.full {
		return 0, errors.New("too much output")
	}
	b.bytes = append(b.bytes, p...)
	return len(p), nil
}

// plainWord matches a word of a message: letters, with punctuation between and around.
// hexWord matches one that could be a part of a key.
var (
	plainWord = regexp.MustCompile(`^[('"\[]*[A-Za-z]+([:._'-][A-Za-z]+)*[)'"\].,:;!]*$`)
	hexWord   = regexp.MustCompile(`^[^A-Za-z]*[A-Fa-f]{2,}([^A-Za-z]+[A-Fa-f]{2,})*[^A-Za-z]*$`)
)

// maxWord is the length in bytes from which a word could be base64.
const maxWord = 16

// lastLine returns the last line of a program's messages for an error, with plain words
// alone: such tools print keys whole, in halves and in groups.
func lastLine(messages []byte) string {
	lines := strings.Split(strings.TrimSpace(string(messages)), "\n")
	printable := func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}
	words := strings.Fields(strings.Map(printable, lines[len(lines)-1]))
	for i, w := range words {
		if !plainWord.MatchString(w) || hexWord.MatchString(w) || len(w) >= maxWord {
			words[i] = "[redacted]"
		}
	}
	line := []rune(strings.Join(words, " "))
	return string(line[:min(len(line), 300)])
}
