package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation/service/cmd/cvvd/config"
	"cvvrotation/sim/must"
)

func TestMain(m *testing.M) {
	testscript.Main(cleaning{m}, map[string]func(){"cvvd": main})
}

// cleaning removes the binary after the tests.
type cleaning struct{ m *testing.M }

func (c cleaning) Run() int {
	defer func() { os.RemoveAll(binaryDir) }()
	return c.m.Run()
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", RequireExplicitExec: true})
}

// call runs the command in this process.
func call(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(context.Background(), args, strings.NewReader(""), &out, &errs)
	return status, out.String(), errs.String()
}

// TestHelp_MatchesCommandsAndFlags compares the hand-written help with the commands.
func TestHelp_MatchesCommandsAndFlags(t *testing.T) {
	must.Do(t, command.CheckHelp(newCLI(strings.NewReader(""), io.Discard, io.Discard, nil).root(), call))
}

func TestLogger_WritesDurationsAsText(t *testing.T) {
	for format, want := range map[string]string{"json": `"in":"1.5s"`, "text": "in=1.5s"} {
		t.Run(format, func(t *testing.T) {
			var b bytes.Buffer
			cfg := config.Default()
			cfg.Log.Format = format
			newCLI(nil, nil, &b, nil).logger(&cfg).Info("x", "in", 1500*time.Millisecond)
			if !strings.Contains(b.String(), want) {
				t.Errorf("no %s in %s", want, &b)
			}
		})
	}
}

func TestAlerts_UseExistingMetrics(t *testing.T) {
	t.Parallel()
	p := start(t, settings(t), "serve").serving()
	auth := token(t, "cards:register cvv:rotate")
	p.send("PUT", p.pci+"/v1/cards/a", auth, "")
	p.send("POST", p.pci+"/v1/cards/a/cvv/rotate", auth, "")
	_, metrics := p.get(p.ops + "/metrics")
	for _, file := range []string{"deploy/alerts.yaml", "../../../../docs/operating.md"} {
		text := must.Get(os.ReadFile(file))(t)
		names := regexp.MustCompile(`\bcvv_[a-z_]+`).FindAllString(string(text), -1)
		if len(names) == 0 {
			t.Errorf("%s names no metric", file)
		}
		for _, name := range names {
			if !strings.Contains(metrics, "# TYPE "+name+" ") {
				t.Errorf("%s names %s, which the daemon does not export", file, name)
			}
		}
	}
}
