package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"cvvrotation/rotation/engine/outbox"
)

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
