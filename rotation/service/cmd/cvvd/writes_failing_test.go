package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"cvvrotation/rotation/service/postgres/pgtest"
	"cvvrotation/sim/must"
)

// holding waits until the condition holds, or, for "", until the daemon is ready.
func (p *process) holding(condition string) {
	p.t.Helper()
	until(p.t, "holding "+condition, func() bool {
		status, ready := p.get(p.ops + "/readyz")
		_, metrics := p.get(p.ops + "/metrics")
		if condition == "" {
			return status == 200
		}
		return status == 503 && strings.Contains(ready, condition+": ") && strings.Contains(metrics, `cvv_condition{name="`+condition+`"} 1`)
	})
}

// retryAfter sends a request, and returns its status and the header Retry-After.
func (p *process) retryAfter(method, path, token string) (int, string) {
	p.t.Helper()
	r := must.Get(http.NewRequestWithContext(p.t.Context(), method, p.pci+path, nil))(p.t)
	r.Header.Set("Authorization", "Bearer "+token)
	answer := must.Get(p.client.Do(r))(p.t)
	must.Do(p.t, answer.Body.Close())
	return answer.StatusCode, answer.Header.Get("Retry-After")
}

// A server that becomes read-only is noticed without a call. Calls are 503 with
// Retry-After, and succeed once the server accepts writes.
func TestServe_ReadOnlyPostgreSQLIsNotReady(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a PostgreSQL")
	}
	server := pgtest.New(t)
	url := server.Database(t)
	env := settings(t, "CVVD_STORE_KIND=postgres", "CVVD_STORE_URL="+url)
	operator(t, env, "migrate")
	p := start(t, env, "serve").serving()
	auth := token(t, "cards:register cards:read cvv:rotate")
	if status, body := p.send("PUT", p.pci+"/v1/cards/a", auth, ""); status != 201 {
		t.Fatal(status, body)
	}
	admin := must.Get(pgx.Connect(t.Context(), url))(t)
	defer admin.Close(context.Background())
	must.Get(admin.Exec(t.Context(), "SET default_transaction_read_only = off"))(t)
	set := func(value string) {
		must.Get(admin.Exec(t.Context(), "ALTER SYSTEM SET default_transaction_read_only = "+value))(t)
		must.Get(admin.Exec(t.Context(), "SELECT pg_reload_conf()"))(t)
	}
	set("on")
	p.holding("writes_failing")
	if status, after := p.retryAfter("POST", "/v1/cards/a/cvv/rotate", auth); status != 503 || after == "" {
		t.Errorf("a call is answered with %d, Retry-After %q", status, after)
	}
	if status, body := p.get(p.ops + "/"); status != 503 || strings.Contains(body, "<strong>OK") || !strings.Contains(body, "accepts no writes") {
		t.Errorf("the page (%d) does not have the error: %s", status, body)
	}
	set("off")
	p.holding("")
	if status, _ := p.retryAfter("POST", "/v1/cards/a/cvv/rotate", auth); status != 200 {
		t.Errorf("afterwards a call is answered with %d", status)
	}
}

// disk mounts a file system of a megabyte, and returns its folder, and a function that
// fills it or makes room again.
func disk(t *testing.T, size string) (dir string, fill func(bool)) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=700,size="+size); err != nil {
		t.Skipf("cannot mount a file system: %v", err)
	}
	t.Cleanup(func() { must.Do(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	filler := filepath.Join(dir, "filler")
	return dir, func(full bool) {
		t.Helper()
		if !full {
			must.Do(t, os.Remove(filler))
			return
		}
		f := must.Get(os.Create(filler))(t)
		defer f.Close()
		for chunk := make([]byte, 4096); ; {
			if _, err := f.Write(chunk); err != nil {
				return
			}
		}
	}
}

func TestServe_FullDiskIsNotReady(t *testing.T) {
	t.Parallel()
	t.Run("database", func(t *testing.T) {
		dir, fill := disk(t, "4m")
		p := start(t, settings(t, "CVVD_STORE_PATH="+filepath.Join(dir, "cvvd.db")), "serve").serving()
		auth := token(t, "cards:register cvv:rotate")
		if status, body := p.send("PUT", p.pci+"/v1/cards/a", auth, ""); status != 201 {
			t.Fatal(status, body)
		}
		fill(true)
		p.holding("writes_failing")
		if status, after := p.retryAfter("POST", "/v1/cards/a/cvv/rotate", auth); status != 503 || after == "" {
			t.Errorf("a call is answered with %d, Retry-After %q", status, after)
		}
		fill(false)
		p.holding("")
		if status, _ := p.retryAfter("POST", "/v1/cards/a/cvv/rotate", auth); status != 200 {
			t.Errorf("afterwards a call is answered with %d", status)
		}
	})
	t.Run("audit log", func(t *testing.T) {
		dir, fill := disk(t, "64k")
		file := filepath.Join(dir, "audit.jsonl")
		env := settings(t, "CVVD_LOG_AUDIT_FILE="+file)
		p := start(t, env, "serve").serving()
		auth := token(t, "cards:register cvv:reveal cvv:rotate")
		p.send("PUT", p.pci+"/v1/cards/a", auth, "")
		fill(true)
		until(t, "the audit log is full", func() bool {
			status, _ := p.send("POST", p.pci+"/v1/cards/a/cvv/rotate", auth, "")
			ready, _ := p.get(p.ops + "/readyz")
			return status == 200 && ready == 503
		})
		p.holding("audit_log_failing")
		if status, after := p.retryAfter("GET", "/v1/cards/a/cvv", auth); status != 503 || after == "" {
			t.Errorf("a reveal is answered with %d, Retry-After %q", status, after)
		}
		fill(false)
		p.holding("")
		if status, _ := p.retryAfter("GET", "/v1/cards/a/cvv", auth); status != 200 {
			t.Errorf("afterwards a reveal is answered with %d", status)
		}
		must.Do(t, p.end(syscall.SIGTERM))
		lines := string(must.Get(os.ReadFile(file))(t))
		if !strings.Contains(lines, `"operation":"resume_log","outcome":"done","missing":`) {
			t.Errorf("no record of the missing ones:\n%s", lines)
		}
		operator(t, env, "audit", "verify", file)
	})
}
