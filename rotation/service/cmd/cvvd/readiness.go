package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// opsHandler returns the handler of the operations side.
func (d *daemon) opsHandler(registry *prometheus.Registry, page http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", page)
	mux.Handle("/cards", page)
	mux.Handle("/cards/", page)
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry, ErrorHandling: promhttp.ContinueOnError}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, nil) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { answer(w, d.ready(r.Context())) })
	return mux
}

// answer writes ok, or status 503 and the error.
func answer(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, err)
		return
	}
	fmt.Fprintln(w, "ok")
}

// ready returns an error if load balancers should send requests elsewhere. It omits the
// store's error, which may name hosts; the log has it.
func (d *daemon) ready(ctx context.Context) error {
	switch {
	case d.stopping.Load():
		return errors.New("shutting down")
	case d.verifier != nil && !d.verifier.Ready():
		return errors.New("token signing keys (JWKS) not loaded yet")
	case !d.alive(ctx):
		return errors.New("store does not respond")
	}
	return nil
}
