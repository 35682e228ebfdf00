// Package webhook is a sink that posts events to an HTTPS endpoint, as
// CloudEvents in structured JSON, signed by the Standard Webhooks specification
// (https://www.standardwebhooks.com).
//
// The headers of a request are webhook-id, webhook-timestamp and
// webhook-signature. The id is the event's with "/" for each ".", since the
// specification allows no full stop in it: the event card_7.12 comes as card_7/12.
// It is the same whenever the event is delivered. The timestamp is the attempt's.
//
// What an answer means:
//
//	2xx                          taken
//	408, 409, 425, 500, 501 …    tried again; counts as an attempt
//	429, 502, 503, 504           the endpoint is unavailable; Retry-After is respected
//	3xx                          unavailable: redirects are not followed
//	other 4xx                    rejected
//	no connection                unavailable
//	a broken connection, no answer in time: tried again; counts as an attempt
package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/internal/loopback"
)

// Options is what a Sink works with.
type Options struct {
	URL     string   // required: https, or http to a loopback address; may hold a user and password, and a query
	Secrets []Secret // required: each of them signs, so that receivers can change from one to the next

	AllowHTTP   bool          // http to any address: the events can then be read and altered on the way
	TLS         *tls.Config   // for a client's certificate and other roots; nil: the system's
	Timeout     time.Duration // of one request; 0: 10s
	Concurrency int           // requests at the same time; 0: 16
	Clock       clock.Clock   // for the timestamp of attempts; nil: the real one
}

// Sink posts events. Make one with New.
type Sink struct {
	o         Options
	url       string
	client    *http.Client
	transport *http.Transport
	slots     chan struct{}
}

// maxAnswer is how much of an answer is read, so that the connection can be used
// again. Nothing looks at it.
const maxAnswer = 64 << 10

// New returns a sink. It connects when there is something to send. The error says
// which option is wrong, and never quotes the URL.
func New(o Options) (*Sink, error) {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || u.Host == "" || u.Fragment != "":
		return nil, errors.New("webhook: URL must be one, such as https://receiver.example/events")
	case u.Scheme == "https", u.Scheme == "http" && (o.AllowHTTP || loopback.IsHost(u.Hostname())):
	case u.Scheme == "http":
		return nil, errors.New("webhook: URL must be https: over http the events can be read and altered on the way")
	default:
		return nil, errors.New("webhook: URL must be https")
	}
	if len(o.Secrets) == 0 {
		return nil, errors.New("webhook: a secret to sign with is required")
	}
	for _, s := range o.Secrets {
		if s.signer == nil {
			return nil, errors.New("webhook: an empty secret")
		}
	}
	if o.Timeout < 0 || o.Concurrency < 0 {
		return nil, errors.New("webhook: Timeout and Concurrency must not be negative")
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Concurrency == 0 {
		o.Concurrency = 16
	}
	if o.Clock == nil {
		o.Clock = clock.New()
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns, transport.MaxIdleConnsPerHost, transport.MaxConnsPerHost = o.Concurrency, o.Concurrency, o.Concurrency
	transport.MaxResponseHeaderBytes = maxAnswer
	if o.TLS != nil {
		transport.TLSClientConfig = o.TLS.Clone()
	}
	return &Sink{
		o: o, url: o.URL, transport: transport, slots: make(chan struct{}, o.Concurrency),
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

// Deliver implements outbox.Sink: cards at the same time, the events of a card
// one after the other. After an event that shows the endpoint to be unavailable or
// silent, no further ones of the batch are tried.
func (s *Sink) Deliver(ctx context.Context, events []store.Queued) []error {
	errs := make([]error, len(events))
	var wg sync.WaitGroup
	var down atomic.Bool
	for _, card := range outbox.ByCard(events) {
		s.slots <- struct{}{} // does not wait long: those before us end with ctx, too
		wg.Go(func() {
			defer func() { <-s.slots }()
			outbox.InOrder(card, errs, func(i int) error {
				if down.Load() {
					return outbox.ErrNotTried
				}
				err := s.post(ctx, events[i])
				if errors.Is(err, outbox.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
					down.Store(true)
				}
				return err
			})
		})
	}
	wg.Wait()
	return errs
}

// post sends one event. Its errors don't hold the URL, nor anything that the
// receiver said but the status.
func (s *Sink) post(ctx context.Context, e store.Queued) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	var connected atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodPost, s.url, bytes.NewReader(e.Payload))
	if err != nil {
		return errors.New("webhook: the request cannot be made") // err quotes the URL
	}
	id, now := strings.ReplaceAll(e.ID(), ".", "/"), s.o.Clock.Now()
	req.Header = http.Header{
		"Content-Type":      {event.ContentType},
		"User-Agent":        {"cvvrotation"},
		"Webhook-Id":        {id},
		"Webhook-Timestamp": {strconv.FormatInt(now.Unix(), 10)},
		"Webhook-Signature": {s.sign(id, now, e.Payload)},
		"Idempotency-Key":   {}, // not sent: lets the client try again when the server has closed an idle connection
	}
	res, err := s.client.Do(req)
	if err != nil {
		return s.failure(ctx, err, connected.Load())
	}
	io.CopyN(io.Discard, res.Body, maxAnswer) // an error spoils the connection, not the answer
	res.Body.Close()
	return s.answer(res, now)
}

// failure returns why there is no answer.
func (s *Sink) failure(ctx context.Context, err error, connected bool) error {
	var quoting *url.Error
	if errors.As(err, &quoting) {
		err = quoting.Err // without the URL
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("no answer within %v: %w", s.o.Timeout, context.DeadlineExceeded)
	}
	err = fmt.Errorf("webhook: %w", err)
	if connected {
		return err
	}
	return &outbox.Unavailable{Err: err}
}

// answer returns what an answer means.
func (s *Sink) answer(res *http.Response, now time.Time) error {
	err := fmt.Errorf("webhook: answered %d", res.StatusCode)
	switch code := res.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code < 400:
		return &outbox.Unavailable{Err: fmt.Errorf("%w, and redirects are not followed: configure the new URL", err)}
	}
	switch res.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return &outbox.Unavailable{Err: err, After: retryAfter(res.Header.Get("Retry-After"), now)}
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly:
		return err
	}
	if res.StatusCode < 500 {
		return fmt.Errorf("%w: %w", err, outbox.ErrRejected)
	}
	return err
}

// retryAfter reads a number of seconds or a date; 0: neither.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil {
		return max(time.Duration(seconds)*time.Second, 0)
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(date.Sub(now), 0)
	}
	return 0
}
