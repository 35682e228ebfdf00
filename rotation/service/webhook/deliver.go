package webhook

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"

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
