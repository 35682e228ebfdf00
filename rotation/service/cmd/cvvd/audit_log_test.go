package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation/service/audit"
	"cvvrotation/sim/must"
)

// readAudit returns the records of a file and fails on a torn line.
func readAudit(t *testing.T, file string) (records []map[string]any) {
	t.Helper()
	text := must.Get(os.ReadFile(file))(t)
	for line := range strings.Lines(string(text)) {
		var r map[string]any
		if err := json.Unmarshal([]byte(line), &r); err != nil || !strings.HasSuffix(line, "\n") {
			t.Fatalf("%q: %v", line, err)
		}
		records = append(records, r)
	}
	return records
}

// Records name the token's issuer. SIGHUP reopens the file.
func TestAuditLog_DaemonAndOperatorsShareOneFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	env := settings(t, "CVVD_LOG_AUDIT_FILE="+file, "CVVD_LIMITS_CARD_PER_SECOND=0")
	p := start(t, env, "serve").serving()
	auth := token(t, "cards:register cvv:rotate cvv:reveal")
	if status, body := p.send("PUT", p.pci+"/v1/cards/a", auth, ""); status != 201 {
		t.Fatal(status, body)
	}
	const calls, commands = 200, 5
	var both sync.WaitGroup
	for range 4 {
		both.Go(func() {
			for range calls / 4 {
				if status, _, err := p.try("POST", p.pci+"/v1/cards/a/cvv/rotate", auth, ""); status != 200 {
					t.Error(status, err)
				}
			}
		})
	}
	for range commands {
		operator(t, env, "card", "force", "a")
	}
	both.Wait()
	versions := map[any]bool{}
	operators := 0
	for _, r := range readAudit(t, file) {
		versions[r["version"]] = true
		switch {
		case r["by"] == "operator" && r["issuer"] == nil:
			operators++
		case r["by"] != "token" || r["issuer"] != issuer || r["subject"] != "tester":
			t.Error(r)
		}
	}
	if len(versions) != 1+calls+commands || operators != commands {
		t.Errorf("%d versions on record, %d by operators", len(versions), operators)
	}

	must.Do(t, os.Rename(file, file+".1"))
	p.signal(syscall.SIGHUP)
	p.wait(p.log, "audit log reopened")
	if status, _ := p.send("GET", p.pci+"/v1/cards/a/cvv", auth, ""); status != 200 {
		t.Error(status)
	}
	if records := readAudit(t, file); len(records) != 2 || records[0]["previous_seq"] != float64(1+calls+commands) || records[1]["operation"] != "reveal" {
		t.Errorf("after SIGHUP: %v", records)
	}

	// A file that all users may write is not used, such as one that log rotation made.
	must.Do(t, os.Rename(file, file+".2"))
	must.Do(t, os.WriteFile(file, nil, 0o600))
	must.Do(t, os.Chmod(file, 0o666))
	p.signal(syscall.SIGHUP)
	p.wait(p.log, "reopening the audit log failed; still writing to the old file.*run chmod o-w")
	must.Do(t, os.Rename(file+".2", file))

	// If the path cannot be opened, the daemon continues with the old file.
	must.Do(t, os.Rename(file, file+".2"))
	must.Do(t, os.Mkdir(file, 0o700))
	p.signal(syscall.SIGHUP)
	p.wait(p.log, "reopening the audit log failed; still writing to the old file.*directory")
	if status, _ := p.send("GET", p.pci+"/v1/cards/a/cvv", auth, ""); status != 200 {
		t.Error(status)
	}
	if records := readAudit(t, file+".2"); len(records) != 3 {
		t.Errorf("%d records in the old file", len(records))
	}
	if info, err := os.Stat(file + ".1"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if out := operator(t, nil, "audit", "verify", file+".1", file+".2"); !strings.HasSuffix(out, "\nno problem\n") {
		t.Error(out)
	}

	must.Do(t, p.end(syscall.SIGTERM))
	records := readAudit(t, file+".2")
	last := records[len(records)-1]
	log := p.log.String()
	if end := fmt.Sprintf(`"msg":"audit log closed","seq":%v,"hash":"%v"`, last["seq"], last["hash"]); !strings.Contains(log, end) {
		t.Errorf("the log does not have %s", end)
	}
	if strings.Contains(log, "msg\":\"audit\"") {
		t.Error("records are in the log as well")
	}
	var v audit.Verifier
	must.Do(t, v.File("log", strings.NewReader(log)))
	if v.Files[0].Records != 0 || v.Problems != nil {
		t.Errorf("the log looks like an altered audit file: %+v", v)
	}
}

// Other calls succeed without a record; a command reports that it could not record.
func TestAuditLog_FullDiskRevealsNothing(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("this system has no /dev/full, where every write fails")
	}
	env := settings(t, "CVVD_LOG_AUDIT_FILE=/dev/full")
	p := start(t, env, "serve").serving()
	auth := token(t, "cards:register cvv:rotate cvv:reveal")
	for _, call := range []struct {
		method, path string
		want         int
	}{{"PUT", "", 201}, {"POST", "/cvv/rotate", 200}, {"GET", "/cvv", 503}} {
		if status, _ := p.send(call.method, p.pci+"/v1/cards/a"+call.path, auth, ""); status != call.want {
			t.Errorf("%s %s: %d, want %d", call.method, call.path, status, call.want)
		}
	}
	q := start(t, env, "card", "force", "a")
	<-q.done
	if log := q.log.String(); exitCode(q.err) != command.ExitFailed || !strings.Contains(log, "error: the command was executed, but writing the audit record failed: ") || q.out.String() != "" {
		t.Errorf("%v: %s%s", q.err, q.out, log)
	}
	if !strings.Contains(operator(t, env, "card", "show", "a"), "version 3") {
		t.Error("it was not done")
	}
}

// Who may only read the audit file can lock it. Nothing is revealed then, and no command
// is executed; other calls are recorded in the log.
func TestAuditLog_LockedFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	env := settings(t, "CVVD_LOG_AUDIT_FILE="+file)
	p := start(t, env, "serve").serving()
	auth := token(t, "cards:register cvv:rotate cvv:reveal")
	card := p.pci + "/v1/cards/a"
	if status, _ := p.send("PUT", card, auth, ""); status != 201 {
		t.Fatal(status)
	}
	reader := must.Get(os.Open(file))(t)
	defer reader.Close()
	must.Do(t, syscall.Flock(int(reader.Fd()), syscall.LOCK_SH))
	for _, call := range []struct {
		method, path, token string
		want                int
	}{{"GET", "/cvv", auth, 503}, {"GET", "/cvv", "", 401}, {"POST", "/cvv/rotate", auth, 200}} {
		if status, _ := p.send(call.method, card+call.path, call.token, ""); status != call.want {
			t.Errorf("%s %s: %d, want %d", call.method, call.path, status, call.want)
		}
	}
	p.wait(p.log, `"msg":"audit".*"operation":"rotate","outcome":"done"`)
	q := start(t, env, "card", "force", "a")
	<-q.done
	if log := q.log.String(); exitCode(q.err) != command.ExitFailed || !strings.Contains(log, "error: audit log: ") || !strings.Contains(log, "another process has locked the file") {
		t.Errorf("%v: %s%s", q.err, q.out, log)
	}
	must.Do(t, syscall.Flock(int(reader.Fd()), syscall.LOCK_UN))
	if status, _ := p.send("GET", card+"/cvv", auth, ""); status != 200 {
		t.Errorf("after the lock: %d", status)
	}
	if !strings.Contains(operator(t, env, "card", "show", "a"), "version 2") {
		t.Error("the command was executed")
	}
}

// TestAuditLog_ChainSurvivesKillAndRestart kills the daemon while it records, and leaves
// half a record at the end.
func TestAuditLog_ChainSurvivesKillAndRestart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	env := settings(t, "CVVD_LOG_AUDIT_FILE="+file, "CVVD_LIMITS_CARD_PER_SECOND=0")
	auth := token(t, "cards:register cvv:reveal")
	for range 3 {
		p := start(t, env, "serve").serving()
		p.send("PUT", p.pci+"/v1/cards/a", auth, "")
		var busy sync.WaitGroup
		for range 4 {
			busy.Go(func() {
				for err := error(nil); err == nil; {
					_, _, err = p.try("GET", p.pci+"/v1/cards/a/cvv", auth, "")
				}
			})
		}
		until(t, "it records", func() bool { return strings.Count(p.log.String(), "/cvv") > 20 })
		p.cmd.Process.Kill()
		<-p.done
		busy.Wait()
		f := must.Get(os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0))(t)
		must.Get(f.WriteString(`{"time":"2026-11-22T15:0`))(t)
		must.Do(t, f.Close())
	}
	operator(t, env, "migrate")
	out := operator(t, nil, "audit", "verify", file)
	if !strings.Contains(out, "3 incomplete lines, first line ") || !strings.HasSuffix(out, "\nno problem\n") {
		t.Error(out)
	}
}

// TestAuditLog_DocumentedScriptChecksTheChain runs the script of the manual.
func TestAuditLog_DocumentedScriptChecksTheChain(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("python3"); err != nil && os.Getenv("CI") == "" {
		t.Skip("python3 is not installed: apt-get install python3")
	}
	manual := string(must.Get(os.ReadFile("../../../../docs/operating.md"))(t))
	_, script, _ := strings.Cut(manual, "```python\n")
	script, _, _ = strings.Cut(script, "```")
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	env := settings(t, "CVVD_LOG_AUDIT_FILE="+file)
	for range 3 {
		operator(t, env, "migrate")
	}
	text := string(must.Get(os.ReadFile(file))(t))
	for name, row := range map[string]struct{ text, want string }{
		"unchanged": {text, "3 "},
		"altered":   {strings.Replace(text, "migrate", "reseal", 1), "line 1: broken\n"},
		"removed":   {text[strings.Index(text, "\n")+1:], "line 1: broken\n"},
	} {
		t.Run(name, func(t *testing.T) {
			must.Do(t, os.WriteFile(file, []byte(row.text), 0o600))
			out, err := exec.Command("python3", "-c", script, file).CombinedOutput()
			if !strings.HasPrefix(string(out), row.want) || (err == nil) != (name == "unchanged") {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

func TestAuditLog_TrustedProxyNamesTheCaller(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	p := start(t, settings(t, "CVVD_LOG_AUDIT_FILE="+file, "CVVD_LISTEN_TRUSTED_PROXIES=127.0.0.1, 10.0.0.0/24"), "serve").serving()
	r := must.Get(http.NewRequest("GET", p.pci+"/v1/cards/a/cvv", nil))(t)
	r.Header["X-Forwarded-For"] = []string{"198.51.100.1, 203.0.113.9", "10.0.0.7"}
	must.Do(t, must.Get(p.client.Do(r))(t).Body.Close())
	records := readAudit(t, file)
	if len(records) != 1 || records[0]["from"] != "203.0.113.9" || records[0]["proxy"] != "127.0.0.1" || records[0]["outcome"] != "unauthenticated" {
		t.Error(records)
	}
	p.wait(p.log, `"from":"203.0.113.9".*"proxy":"127.0.0.1"`)
}
