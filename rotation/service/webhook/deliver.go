package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"cvvrotation/rotation/engine/event"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
)

// Deliver implements outbox.Sink. It posts different cards' events concurrently
// and one card's events one after the other. After an event that shows that the
// endpoint is unavailable or does not respond, it tries no further ones.
func (s *Sink) Deliver(ctx context.Context, events []store.Queued) []error {
	errs := make([]error, len(events))
	var wg sync.WaitGroup
	var down atomic.Bool
	for _, card := range outbox.ByCard(events) {
		s.slots <- struct{}{} // does not wait long: requests end with ctx
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

// post sends one event. Its errors hold neither the URL nor anything of the
// response but the status code.
func (s *Sink) post(ctx context.Context, e store.Queued) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	var connected atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodPost, s.url, bytes.NewReader(e.Payload))
	if err != nil {
		return errors.New("webhook: the request could not be built") // err quotes the URL
	}
	now := s.o.Clock.Now()
	req.Header = http.Header{
		"Content-Type":    {event.ContentType},
		"User-Agent":      {"cvvrotation"},
		"Idempotency-Key": {}, // not sent: lets the client retry when the server has closed an idle connection
	}
	s.sign(req.Header, e, now)
	res, err := s.client.Do(req)
	if err != nil {
		return s.noResponse(ctx, err, connected.Load())
	}
	io.CopyN(io.Discard, res.Body, maxResponse) // an error spoils the connection, not the response
	res.Body.Close()
	return judge(res, now)
}

// maxResponse is how many bytes of a response are read, so that the connection
// can be reused. The body is ignored.
const maxResponse = 64 << 10

// judge returns what the status code means for the event: nil if it was
// delivered.
func judge(res *http.Response, now time.Time) error {
	err := fmt.Errorf("webhook: the endpoint responded with status %d", res.StatusCode)
	switch code := res.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code < 400:
		return &outbox.Unavailable{Err: fmt.Errorf("%w; redirects are not followed: configure the new URL", err)}
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

// retryAfter parses a number of seconds or a date. It returns 0 for anything else.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil {
		return max(time.Duration(seconds)*time.Second, 0)
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(date.Sub(now), 0)
	}
	return 0
}

// noResponse returns what a request without a response means for the event.
func (s *Sink) noResponse(ctx context.Context, err error, connected bool) error {
	var quoting *url.Error
	if errors.As(err, &quoting) {
		err = quoting.Err // without the URL
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("no response within %v: %w", s.o.Timeout, context.DeadlineExceeded)
	}
	err = fmt.Errorf("webhook: %w", err)
	if connected {
		return err
	}
	return &outbox.Unavailable{Err: err}
}
