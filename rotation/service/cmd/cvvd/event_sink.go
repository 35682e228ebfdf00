package main

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine/jsonl"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/service/cmd/cvvd/config"
	"cvvrotation/rotation/service/jetstream"
	"cvvrotation/rotation/service/webhook"
)

// openSink opens the sink that the configuration names; nil when it names none.
// It needs no receiver that is there yet.
func openSink(cfg *config.Config, stdout io.Writer, logger *slog.Logger) (outbox.Sink, error) {
	e := &cfg.Events
	switch e.Sink {
	case "jsonl":
		if e.File == "-" {
			return jsonl.New(stdout), nil
		}
		return jsonl.Open(e.File)
	case "webhook":
		url, err1 := cfg.WebhookURL()
		secrets, err2 := cfg.WebhookSecrets()
		secured, err3 := cfg.SinkTLS()
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, err
		}
		return webhook.New(url, secrets, webhook.Options{TLS: secured})
	case "jetstream":
		url, err1 := cfg.NATSURL()
		secured, err2 := cfg.SinkTLS()
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		conn, err := jetstream.Dial(url, jetstream.DialOptions{Credentials: e.NATSCredentials, TLS: secured, Name: "cvvd", Logger: logger})
		if err != nil {
			return nil, err
		}
		sink, err := jetstream.New(conn, jetstream.Options{Stream: e.NATSStream, Prefix: e.NATSPrefix, Create: e.NATSCreate})
		if err != nil {
			conn.Close()
			return nil, err
		}
		return sink, nil
	}
	return nil, nil
}

// expire is the work of a daemon without a sink: it deletes what has waited for one
// for too long. The first time is a while after the start, so that whoever has
// forgotten the sink can read the warning.
func (d *daemon) expire(ctx context.Context) error {
	keep := d.cfg.Engine.KeepEvents.Go()
	d.log.Warn("there is no sink: events wait for one, and are deleted after engine.keep_events", "keep_events", keep)
	ticker := clock.New().Ticker(d.cfg.Engine.Sweep.Go())
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		now, err := d.store.Now(ctx)
		n := 0
		if err == nil {
			n, err = outbox.DeleteUndelivered(ctx, d.store, now.Add(-keep))
		}
		if n > 0 {
			d.log.Warn("events were deleted that had waited for a sink for too long", "events", n, "keep_events", keep)
		}
		if err != nil && ctx.Err() == nil {
			d.log.Warn("events that wait for a sink could not be looked through", "error", err)
		}
	}
}
