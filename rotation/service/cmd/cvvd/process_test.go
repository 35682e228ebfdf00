package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cvvrotation/sim/must"
)

// binary builds the command, once for all tests.
var binary = sync.OnceValues(func() (string, error) {
	var err error
	if binaryDir, err = os.MkdirTemp("", "cvvd-test-"); err != nil {
		return "", err
	}
	name := filepath.Join(binaryDir, "cvvd")
	if out, err := exec.Command("go", append(append([]string{"build"}, buildFlags...), "-o", name, ".")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return name, nil
})

var (
	binaryDir  string   // removed by TestMain
	buildFlags []string // of go build
)

// process is a command that a test has started.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	out    *output // standard output
	log    *output // standard error
	done   chan struct{}
	err    error  // after done
	pci    string // URLs, once it serves
	ops    string
	client *http.Client
}

// output collects what a process writes.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.changed)
	o.changed = make(chan struct{})
	return o.text.Write(b)
}

func (o *output) look() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String(), o.changed
}

func (o *output) String() string {
	s, _ := o.look()
	return s
}

const patience = 30 * time.Second // generous, for a busy machine

// start starts the command and kills it at the end of the test.
func start(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	name := must.Get(binary())(t)
	p := &process{t: t, cmd: exec.Command(name, args...), done: make(chan struct{}),
		out: &output{changed: make(chan struct{})}, log: &output{changed: make(chan struct{})},
		client: &http.Client{Timeout: patience, Transport: &http.Transport{}}}
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.log
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	must.Do(t, p.cmd.Start())
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.client.CloseIdleConnections()
		p.cmd.Process.Kill()
		<-p.done
		if t.Failed() {
			log := p.log.String()
			t.Logf("%v wrote to standard error:\n%s", args, log[max(0, len(log)-6000):])
		}
	})
	return p
}

// wait waits until the output matches the pattern and returns the match.
func (p *process) wait(o *output, pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(patience)
	for {
		text, changed := o.look()
		if found := re.FindStringSubmatch(text); found != nil {
			return found
		}
		select {
		case <-changed:
		case <-p.done:
			if text, _ := o.look(); !re.MatchString(text) {
				p.t.Fatalf("it ended (%v) without output that matches %s", p.err, pattern)
			}
		case <-deadline:
			p.t.Fatalf("never: %s", pattern)
		}
	}
}

// serving waits until the daemon is ready, and returns it.
func (p *process) serving() *process {
	p.t.Helper()
	found := p.wait(p.log, `serving.*\bpci"?[=:]"?([0-9.:]+).*ops"?[=:]"?([0-9.:]+).*tls"?[=:](true|false)`)
	scheme := map[string]string{"true": "https://", "false": "http://"}[found[3]]
	p.pci, p.ops = scheme+found[1], "http://"+found[2]
	until(p.t, "it is ready", func() bool {
		status, _ := p.get(p.ops + "/readyz")
		return status == 200
	})
	return p
}

// end sends the signal and returns how the process ended.
func (p *process) end(s syscall.Signal) error {
	p.t.Helper()
	p.signal(s)
	select {
	case <-p.done:
		return p.err
	case <-time.After(patience):
		p.t.Fatalf("it does not end after %v", s)
		return nil
	}
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	must.Do(p.t, p.cmd.Process.Signal(s))
}

// get returns the status and the body.
func (p *process) get(url string) (int, string) {
	p.t.Helper()
	return p.send("GET", url, "", "")
}

// send sends a request with a token, unless that is "".
func (p *process) send(method, url, token, body string) (int, string) {
	p.t.Helper()
	status, answer, err := p.try(method, url, token, body)
	must.Do(p.t, err)
	return status, answer
}

func (p *process) try(method, url, token, body string) (int, string, error) {
	r, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := p.client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(b), err
}

// operator runs an operator's command until it ends and returns its output.
func operator(t *testing.T, env []string, args ...string) string {
	t.Helper()
	p := start(t, env, args...)
	<-p.done
	if p.err != nil {
		t.Fatalf("%v: %v: %s", args, p.err, p.log)
	}
	return p.out.String()
}

func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}

// until waits until done returns true.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}
