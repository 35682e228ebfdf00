package main

import (
	"log/slog"

	"cvvrotation/rotation/service/cmd/cvvd/config"
)

// logger returns a logger to standard error, with the configured level and format.
func (c *cli) logger(cfg *config.Config) *slog.Logger {
	level, _ := cfg.Level() // checked
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: readable}
	if cfg.Log.Format == "text" {
		return slog.New(slog.NewTextHandler(c.Stderr, options))
	}
	return slog.New(slog.NewJSONHandler(c.Stderr, options))
}

// readable formats durations as text, such as 1.5s. In JSON they would otherwise be
// nanoseconds.
func readable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}
