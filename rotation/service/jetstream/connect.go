package jetstream

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// Server is where and how to connect.
type Server struct {
	URL         string       // required: nats://host:4222, or tls://… which insists on TLS, several with commas; may hold a user and password, or a token
	Credentials string       // path of a credentials file (JWT and seed), read anew for each connection; "": none
	TLS         *tls.Config  // for a client's certificate and other roots: insists on TLS; nil: the system's roots
	Name        string       // of the client, as the server shows it; "": cvvrotation
	Logger      *slog.Logger // for what happens to the connection; nil: none
}

// Times of a connection, which tests shorten.
var (
	reconnectWait = time.Second      // between two tries to connect
	pingInterval  = 15 * time.Second // a server that answers nothing for three of them is gone
	writeTimeout  = 5 * time.Second  // nor is one there that takes nothing for so long
)

// Dial connects to NATS, and connects again whenever the connection breaks, for
// ever: also when there is no server yet, or one that refuses us. What is published
// meanwhile fails at once. It is an error if the URL or the credentials file can't
// be used; the error quotes nothing of them.
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
	told := "" // the last failure to connect; handlers run one after the other
	options := []nats.Option{
		nats.Name(s.Name),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // else a second refusal would close the connection for good
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectWait/10, reconnectWait),
		nats.ReconnectBufSize(-1), // nothing old is sent after a reconnection
		nats.PingInterval(pingInterval),
		nats.FlusherTimeout(writeTimeout),
		nats.ConnectHandler(func(c *nats.Conn) { log.Info("connected to NATS", "server", c.ConnectedServerName()) }),
		nats.ReconnectHandler(func(c *nats.Conn) {
			told = ""
			log.Info("connected to NATS again", "server", c.ConnectedServerName())
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
			if text := err.Error(); text != told {
				told = text
				log.Warn("cannot connect to NATS", "error", err)
			}
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { log.Warn("disconnected from NATS", "error", err) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Warn("NATS", "error", err) }),
	}
	if s.Credentials != "" {
		credentials, err := readCredentials(s.Credentials)
		if err != nil {
			return nil, fmt.Errorf("jetstream: %w", err)
		}
		options = append(options, credentials)
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

// readCredentials returns the option that reads the file for each connection, and
// an error if it can't be used now.
func readCredentials(path string) (nats.Option, error) {
	var o nats.Options
	if err := nats.UserCredentials(path)(&o); err != nil {
		return nil, err
	}
	return nats.UserJWT(func() (string, error) {
		if err := CheckCredentials(path); err != nil {
			return "", err
		}
		return o.UserJWT()
	}, o.SignatureCB), CheckCredentials(path)
}

// CheckCredentials returns an error if the file can't be read, or holds no JWT and
// seed: of any other file, nats.go would send the server the whole content. The
// error names the file and quotes nothing of it.
func CheckCredentials(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("the credentials file: %w", err)
	}
	defer clear(text)
	for _, part := range []string{"BEGIN NATS USER JWT-", "BEGIN USER NKEY SEED-"} {
		if !bytes.Contains(text, []byte(part)) {
			return fmt.Errorf("the credentials file: %s: no line with -----%s----: nsc generate creds writes such files", path, part)
		}
	}
	return nil
}
