package main

import (
	"errors"
	"io"
	"log/slog"

	"cvvrotation/rotation/engine/jsonl"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/service/cmd/cvvd/config"
	"cvvrotation/rotation/service/jetstream"
	"cvvrotation/rotation/service/webhook"
)

// openSink opens the sink that the configuration names, or returns nil for none. The
// receiver need not be reachable yet.
func openSink(cfg *config.Config, stdout io.Writer, logger *slog.Logger) (outbox.Sink, error) {
	e := &cfg.Events
	switch e.Sink {
	case "jsonl":
		if e.File == "-" {
			return jsonl.New(stdout)
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
