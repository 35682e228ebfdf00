// Package webhook is a sink that posts events to an HTTPS endpoint, as
// CloudEvents in structured JSON, signed by the Standard Webhooks specification
// (https://www.standardwebhooks.com).
//
// A request has the headers webhook-id, webhook-timestamp and webhook-signature.
// The id is the event's id with "/" for each ".", since the specification allows
// no full stop in it: the event card_7.12 is sent as card_7/12. A retry has the
// same id and a new timestamp.
//
// The status code of the response decides what becomes of an event:
//
//	2xx                          delivered
//	429, 502, 503, 504           the endpoint is unavailable; Retry-After is respected
//	3xx                          unavailable: redirects are not followed
//	no connection                unavailable
//	other 4xx and 5xx            retried; counts as an attempt
//	broken connection, timeout   retried; counts as an attempt
package webhook

import (
	"cmp"
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/service/internal/loopback"
)

// Options are the settings of a Sink. The zero value is ready to use.
type Options struct {
	// AllowHTTP allows http to any address. Events can then be read and
	// altered on the way. By default http is allowed to loopback addresses
	// only.
	AllowHTTP bool
	// TLS holds a client certificate and root certificates. Defaults to the
	// system's roots and no client certificate.
	TLS *tls.Config
	// Timeout limits one request. Defaults to 10s.
	Timeout time.Duration
	// Concurrency is the maximum number of requests at the same time.
	// Defaults to 16.
	Concurrency int
	// Clock sets the timestamp of requests. Defaults to the real clock.
	Clock clock.Clock
}

// Sink posts events. Make one with New.
type Sink struct {
	o         Options
	url       string
	secrets   []Secret
	client    *http.Client
	transport *http.Transport
	slots     chan struct{}
}

// New returns a sink that posts to a URL, which may hold a user, a password and a
// query. It signs with each of the secrets, so that receivers can change from one
// to the next. It connects when there is something to send. The error names the
// argument or option that is wrong, and never quotes the URL.
func New(endpoint string, secrets []Secret, o Options) (*Sink, error) {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Host == "" || u.Fragment != "":
		return nil, errors.New("webhook: the URL must be like https://receiver.example/events")
	case u.Scheme == "https", u.Scheme == "http" && (o.AllowHTTP || loopback.IsHost(u.Hostname())):
	case u.Scheme == "http":
		return nil, errors.New("webhook: the URL must be https: over http the events can be read and altered on the way")
	default:
		return nil, errors.New("webhook: the URL must be https")
	}
	if len(secrets) == 0 {
		return nil, errors.New("webhook: a secret to sign with is required")
	}
	for _, s := range secrets {
		if s.signer == nil {
			return nil, errors.New("webhook: a secret is empty")
		}
	}
	if o.Timeout < 0 || o.Concurrency < 0 {
		return nil, errors.New("webhook: Timeout and Concurrency must not be negative")
	}
	o.Timeout = cmp.Or(o.Timeout, 10*time.Second)
	o.Concurrency = cmp.Or(o.Concurrency, 16)
	if o.Clock == nil {
		o.Clock = clock.New()
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost, transport.MaxConnsPerHost = o.Concurrency, o.Concurrency, o.Concurrency
	transport.MaxResponseHeaderBytes = maxResponse
	if o.TLS != nil {
		transport.TLSClientConfig = o.TLS.Clone()
	}
	return &Sink{
		o: o, url: endpoint, secrets: secrets, transport: transport, slots: make(chan struct{}, o.Concurrency),
		client: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Close closes the connections.
func (s *Sink) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}
