package jetstream

import (
	"bytes"
	"cmp"
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

// DialOptions are the settings of a connection. The zero value is ready to use.
type DialOptions struct {
	// Credentials is the path of a credentials file (JWT and seed), which is
	// read for each connection. Defaults to none.
	Credentials string
	// TLS holds a client certificate and root certificates. If it is set, the
	// connection must use TLS. Defaults to the system's roots.
	TLS *tls.Config
	// Name is the client's name, as the server shows it. Defaults to
	// cvvrotation.
	Name string
	// Logger logs what happens to the connection. Defaults to none.
	Logger *slog.Logger
}

// Timing of a connection; variables, so that tests can shorten it.
var (
	reconnectWait = time.Second      // between two attempts to connect
	pingInterval  = 15 * time.Second // a server that misses three pings is treated as gone
	writeTimeout  = 5 * time.Second  // as is one that accepts no bytes for so long
)

// Dial connects to NATS at a URL: nats://host:4222, or tls://… to require TLS. It
// can be several URLs, separated by commas, and may hold a user and password, or a
// token. The connection reconnects without limit, also if there is no server yet
// or it refuses the credentials. Meanwhile publishing fails immediately. Dial
// returns an error if the URL or the credentials file cannot be used; the error
// quotes nothing of either.
func Dial(server string, o DialOptions) (*nats.Conn, error) {
	for _, text := range strings.Split(server, ",") {
		if u, err := url.Parse(strings.TrimSpace(text)); err != nil || u.Host == "" {
			return nil, errors.New("jetstream: the URL must be like nats://host:4222, or several of them with commas")
		}
	}
	log := cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	logged := "" // the last failure to connect; handlers run one after the other
	options := []nats.Option{
		nats.Name(cmp.Or(o.Name, "cvvrotation")),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // otherwise a second refusal would close the connection for good
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectWait/10, reconnectWait),
		nats.ReconnectBufSize(-1), // nothing old is sent after a reconnection
		nats.PingInterval(pingInterval),
		nats.FlusherTimeout(writeTimeout),
		nats.ConnectHandler(func(c *nats.Conn) { log.Info("connected to NATS", "server", c.ConnectedServerName()) }),
		nats.ReconnectHandler(func(c *nats.Conn) {
			logged = ""
			log.Info("reconnected to NATS", "server", c.ConnectedServerName())
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
			if text := err.Error(); text != logged {
				logged = text
				log.Warn("connecting to NATS failed; retrying", "error", err)
			}
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { log.Warn("disconnected from NATS; reconnecting", "error", err) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Warn("NATS reported an error; affected deliveries are retried", "error", err)
		}),
	}
	if o.Credentials != "" {
		credentials, err := readCredentials(o.Credentials)
		if err != nil {
			return nil, fmt.Errorf("jetstream: %w", err)
		}
		options = append(options, credentials)
	}
	if o.TLS != nil {
		options = append(options, nats.Secure(o.TLS.Clone()))
	}
	conn, err := nats.Connect(server, options...)
	if err != nil {
		var quoting *url.Error
		if errors.As(err, &quoting) {
			err = errors.New("the URL cannot be parsed")
		}
		return nil, fmt.Errorf("jetstream: connecting: %w", err)
	}
	return conn, nil
}

// readCredentials returns the option that reads the file for each connection, and
// an error if the file cannot be used now.
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

// CheckCredentials returns an error if the file cannot be read or holds no JWT and
// seed: nats.go would send the whole content of any other file to the server. The
// error names the file and quotes nothing of it.
func CheckCredentials(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("the credentials file: %w", err)
	}
	defer clear(text)
	for _, part := range []string{"BEGIN NATS USER JWT-", "BEGIN USER NKEY SEED-"} {
		if !bytes.Contains(text, []byte(part)) {
			return fmt.Errorf("the credentials file: %s: it has no line with -----%s----: create it with nsc generate creds", path, part)
		}
	}
	return nil
}
