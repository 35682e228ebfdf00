package sqlite

import (
	"context"

	"cvvrotation/rotation/engine/store"
)

// maxGroup is how many updates share a transaction at most, which bounds how
// long the first of them waits for the others.
const maxGroup = 256

// request is something to be done in a transaction of the writer.
type request struct {
	ctx  context.Context
	fn   func(*store.Change) error // the caller's
	do   func(*conn, *request) error
	err  error     // for the caller, when the transaction has committed
	turn chan bool // to the caller: true to call fn with the cards, false when all is done

	cards []*locked     // to call fn with
	back  chan struct{} // from the caller: it has been called
	gone  bool          // fn has panicked
}

func newRequest(ctx context.Context, fn func(*store.Change) error, do func(*conn, *request) error) *request {
	return &request{ctx: ctx, fn: fn, do: do, turn: make(chan bool, 1), back: make(chan struct{})}
}

// submit hands q to the writer, and calls its function when the writer says so:
// in the caller's goroutine, so that a panic is the caller's. A context matters
// until the writer has taken q.
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
	for <-q.turn {
		q.run()
	}
	return q.err
}

func (q *request) run() {
	q.gone = true
	defer func() { q.back <- struct{}{} }()
	for _, l := range q.cards {
		l.err = q.fn(&l.tx)
	}
	q.gone = false
}

// call has the caller call its function with the cards, and reports whether it
// has returned from all calls.
func (q *request) call(cards ...*locked) bool {
	if !q.gone {
		q.cards = cards
		q.turn <- true
		<-q.back
	}
	return !q.gone
}

// end gives the caller its answer.
func (q *request) end(err error) {
	if err != nil {
		q.err = explain(err)
	}
	q.turn <- false
}

// write is the goroutine that writes. Updates go first; after each group of
// them one of the other requests has its turn.
func (s *Store) write() {
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

// group does q and all updates that wait by then in one transaction.
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

// alone does q in a transaction of its own.
func (s *Store) alone(q *request) {
	err := s.begin(q.ctx)
	if err == nil {
		err = s.commit(q.do(s.writer, q))
	}
	q.end(err)
}

// commit ends the transaction: rolls it back if there has been an error.
func (s *Store) commit(err error) error {
	if err == nil {
		_, err = s.writer.exec(context.Background(), "COMMIT")
	}
	if err != nil {
		s.writer.rollback()
	}
	return err
}
