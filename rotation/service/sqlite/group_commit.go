package sqlite

import (
	"context"

	"cvvrotation/rotation/engine/store"
)

// maxGroup is the maximum number of updates in a transaction, which bounds how long the
// first of them waits for the others.
const maxGroup = 256

// request is work for a transaction of the writer.
type request struct {
	ctx     context.Context
	fn      func(*store.Change) error // the caller's function
	do      func(*conn, *request) error
	err     error     // for the caller, after the transaction
	proceed chan bool // to the caller: true to call fn with the cards, false at the end

	cards    []*loadedCard // to call fn with
	returned chan struct{} // from the caller: fn has returned or panicked
	panicked bool          // fn has panicked
}

func newRequest(ctx context.Context, fn func(*store.Change) error, do func(*conn, *request) error) *request {
	return &request{ctx: ctx, fn: fn, do: do, proceed: make(chan bool, 1), returned: make(chan struct{})}
}

// submit passes q to the writer, and calls fn when the writer asks for it. fn runs in
// the caller's goroutine, so its panic reaches the caller. The end of the context has
// no effect after the writer has started the transaction.
func (s *Store) submit(to chan<- *request, q *request) error {
	if err := s.open(q.ctx); err != nil {
		return err
	}
	select {
	case to <- q:
	case <-q.ctx.Done():
		return q.ctx.Err()
	case <-s.closing:
		return store.ErrClosed
	}
	for <-q.proceed {
		q.run()
	}
	return q.err
}

func (q *request) run() {
	q.panicked = true
	defer func() { q.returned <- struct{}{} }()
	for _, l := range q.cards {
		l.err = q.fn(&l.change)
	}
	q.panicked = false
}

// call lets the caller call fn with the cards, and reports whether all calls returned.
func (q *request) call(cards ...*loadedCard) bool {
	if !q.panicked {
		q.cards = cards
		q.proceed <- true
		<-q.returned
	}
	return !q.panicked
}

// end returns the result to the caller.
func (q *request) end(err error) {
	if err != nil {
		q.err = explain(err)
	}
	q.proceed <- false
}

// change runs a function without cards in a transaction of its own, and returns how many
// rows it changed.
func (s *Store) change(ctx context.Context, do func(*conn) (int64, error)) (n int64, err error) {
	err = s.submit(s.others, newRequest(ctx, nil, func(c *conn, _ *request) (err error) {
		n, err = do(c)
		return err
	}))
	if err != nil {
		return 0, err
	}
	return n, nil
}

// runWriter is the goroutine that writes. Updates go first; after each group of
// updates it runs one other request.
func (s *Store) runWriter() {
	defer close(s.stopped)
	for {
		select {
		case q := <-s.updates:
			s.group(q)
		default:
			select {
			case q := <-s.updates:
				s.group(q)
			case q := <-s.others:
				s.alone(q)
				continue
			case <-s.closing:
				return
			}
		}
		select {
		case q := <-s.others:
			s.alone(q)
		default:
		}
	}
}

// group runs q and all updates that wait by then in one transaction. If it fails, each
// is repeated in a transaction of its own.
func (s *Store) group(q *request) {
	if err := s.begin(q.ctx); err != nil {
		q.end(err)
		return
	}
	s.members = s.members[:0]
	var err error
	for more := true; more; {
		s.members = append(s.members, q)
		if err = q.do(s.writer, q); err != nil || len(s.members) == maxGroup {
			break
		}
		select {
		case q = <-s.updates:
		default:
			more = false
		}
	}
	if err = s.commit(err); err != nil && len(s.members) > 1 {
		for _, q := range s.members {
			q.err = nil
			s.alone(q)
		}
		return
	}
	for _, q := range s.members {
		q.end(err)
	}
}

// alone runs q in a transaction of its own.
func (s *Store) alone(q *request) {
	err := s.begin(q.ctx)
	if err == nil {
		err = s.commit(q.do(s.writer, q))
	}
	q.end(err)
}

// commit commits the transaction, or rolls it back after an error.
func (s *Store) commit(err error) error {
	if err == nil {
		_, err = s.writer.exec(context.Background(), "COMMIT")
	}
	if err != nil {
		s.writer.rollback()
	}
	return err
}
