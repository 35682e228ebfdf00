package api

import (
	"errors"
	"net/http"
	"time"

	"cvvrotation/rotation/internal/arguments"
)

// Server returns a server for the handler with limits against slow and greedy
// clients: 5 s to send a request's header, 10 s to send the whole request, 15 s until
// the response is received, 2 min between two requests of a connection, and 16 KiB of
// header. The caller sets TLS and the log of connection errors. It returns an error if h
// is nil: http.Server would serve http.DefaultServeMux.
func Server(addr string, h http.Handler) (*http.Server, error) {
	if arguments.Missing(h) {
		return nil, errors.New("api: a handler is required")
	}
	return &http.Server{
		Addr:              addr,
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      15 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}, nil
}
