package jetstream

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// Server is where and how to connect.
type Server struct {
	URL         string       // required: nats://host:4222 or tls://…, several with commas; may hold a user and password, or a token
	Credentials string       // path of a credentials file (JWT and seed); "": none
	TLS         *tls.Config  // for a client's certificate and other roots; nil: the system's
	Name        string       // of the client, as the server shows it; "": cvvrotation
	Logger      *slog.Logger // for what happens to the connection; nil: none
}

// Dial connects to NATS, and connects again whenever the connection breaks, for
// ever: also when there is no server yet. What is published meanwhile fails at
// once. The error quotes nothing of the URL.
func Dial(s Server) (*nats.Conn, error) {
	for _, text := range strings.Split(s.URL, ",") {
		if u, err := url.Parse(strings.TrimSpace(text)); err != nil || u.Host == "" {
			return nil, errors.New("jetstream: URL must be one, such as nats://host:4222, or several with commas")
		}
	}
	if s.Name == "" {
		s.Name = "cvvrotation"
	}
	log := s.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	options := []nats.Option{
		nats.Name(s.Name),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(time.Second),
		nats.ReconnectBufSize(-1), // nothing old is sent after a reconnection
		nats.ConnectHandler(func(c *nats.Conn) { log.Info("connected to NATS", "server", c.ConnectedServerName()) }),
		nats.ReconnectHandler(func(c *nats.Conn) { log.Info("connected to NATS again", "server", c.ConnectedServerName()) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { log.Warn("disconnected from NATS", "error", err) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Warn("NATS", "error", err) }),
	}
	if s.Credentials != "" {
		options = append(options, nats.UserCredentials(s.Credentials))
	}
	if s.TLS != nil {
		options = append(options, nats.Secure(s.TLS.Clone()))
	}
	conn, err := nats.Connect(s.URL, options...)
	if err != nil {
		var quoting *url.Error
		if errors.As(err, &quoting) {
			err = errors.New("a URL that cannot be read")
		}
		return nil, fmt.Errorf("jetstream: connecting: %w", err)
	}
	return conn, nil
}
