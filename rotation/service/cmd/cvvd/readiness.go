package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"cvvrotation/rotation/service/cmd/cvvd/condition"
)

// opsHandler returns the handler of the operations side.
func opsHandler(registry *prometheus.Registry, page http.Handler, conditions func() []condition.Holding) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", page)
	mux.Handle("GET /runbook", page)
	mux.Handle("/cards", page)
	mux.Handle("/cards/", page)
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry, ErrorHandling: promhttp.ContinueOnError}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		status, body := readiness(conditions())
		answer(w, status, body)
	})
	return mux
}

func answer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	fmt.Fprint(w, body)
}

// readiness returns the status and the body of /readyz: ok or not ready, and a line for
// each condition that holds. It omits the errors, which may name hosts; the status page
// and the log have them.
func readiness(holding []condition.Holding) (status int, body string) {
	status, word := http.StatusOK, "ok"
	var b strings.Builder
	for _, h := range holding {
		if h.NotReady {
			status, word = http.StatusServiceUnavailable, "not ready"
		}
		fmt.Fprintf(&b, "%s: %s\n", h.Name, h.Sentence)
	}
	return status, word + "\n" + b.String()
}

// alive reports whether the store responds within 2 seconds, for the watchdog.
func (d *daemon) alive(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err := d.store.Now(ctx)
	return err == nil
}

// replica names this process among its replicas.
func replica() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return fmt.Sprintf("%s, process %d", host, os.Getpid())
}
