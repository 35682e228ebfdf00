package main

import (
	"log/slog"

	"cvvrotation/rotation/service/cmd/cvvd/config"
)

// logger logs to standard error as the configuration says.
func (c *cli) logger(cfg *config.Config) *slog.Logger {
	level, _ := cfg.Level() // checked
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: readable}
	if cfg.Log.Format == "text" {
		return slog.New(slog.NewTextHandler(c.Stderr, options))
	}
	return slog.New(slog.NewJSONHandler(c.Stderr, options))
}

// readable writes durations as people do, 1.5s, in JSON as in text: as JSON they
// would be bare nanoseconds.
func readable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}
