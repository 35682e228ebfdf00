package checktest

import (
	"fmt"
	"sync"
	"testing"
)

// Operation is an operation of a service that rotates a card once: a forced call, or
// a poll that finds one card.
type Operation struct {
	// Do runs the operation.
	Do func() error
	// Found counts what it has done, as a new process finds it. Run what your service
	// runs after a restart before you count.
	Found func() Effects
}

// Effects are the effects of an operation.
type Effects struct {
	Rotations int // in the database: the new state with the new CVV
	Events    int // "CVV changed", in the database or published
	Acted     int // how often the service has acted on the rotation: answered (Do's call returned), or given the CVV to another system
}

// Crash runs the operation once to the end, and then once for each call of crash, at
// which its process dies: the call does not return. After each of them there must be
// as many events as rotations, and the service must not have acted on a rotation that
// the database does not have.
//
// Open returns an operation on a new database, with a card that it rotates. The
// service calls crash before and after each statement and commit, and says where, and
// how to close the connection, which is called if the process dies there. [OpenDB]
// returns a database that does. With pgx a QueryTracer does:
//
//	func (t tracer) TraceQueryStart(ctx context.Context, c *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
//		t.crash("before "+d.SQL, func() { c.PgConn().Conn().Close() })
//		return ctx
//	}
//
//	func (t tracer) TraceQueryEnd(ctx context.Context, c *pgx.Conn, d pgx.TraceQueryEndData) {
//		t.crash("after "+d.CommandTag.String(), func() { c.PgConn().Conn().Close() })
//	}
//
// Calls outside Do do nothing. When the effects have been counted, the dead operation
// continues without its connection until Do returns.
func Crash(t *testing.T, open func(t *testing.T, crash func(where string, disconnect func())) Operation) {
	t.Helper()
	var points []string
	t.Run("no crash", func(t *testing.T) {
		met, e, err := runUntil(t, open, -1)
		points = met
		switch {
		case err != nil:
			t.Errorf("the operation failed without a crash: %v", err)
		case e.Rotations == 0:
			t.Error("the operation has not rotated: let it find a card that is due")
		case e.Acted == 0:
			t.Error("the service has not acted on the rotation (Acted is 0), so acting before storing (duty 3) would not be found: count its answers, and what it gives to other systems")
		case len(points) == 0:
			t.Error("the operation never called crash: open the database with checktest.OpenDB, or call crash before and after each statement")
		default:
			e.check(t, "without a crash")
		}
	})
	for i, where := range points {
		if t.Failed() {
			return
		}
		t.Run(fmt.Sprintf("%d %s", i+1, where), func(t *testing.T) {
			met, e, _ := runUntil(t, open, i)
			if len(met) <= i {
				t.Errorf("crash was called %d times, and %d times without a crash: the operation must do the same each time", len(met), len(points))
			}
			e.check(t, "the process died "+where)
		})
	}
}

// runUntil runs an operation until it dies in the call of crash number last, from 0;
// -1: to its end. It returns where crash was called.
func runUntil(t *testing.T, open func(*testing.T, func(string, func())) Operation, last int) (met []string, e Effects, err error) {
	var mu sync.Mutex
	running := false
	ended, died, counted := make(chan struct{}), make(chan struct{}), make(chan struct{})
	o := open(t, func(where string, disconnect func()) {
		mu.Lock()
		if running {
			met = append(met, where)
		}
		dies, dead := running && len(met) == last+1, running && last >= 0 && len(met) > last
		mu.Unlock()
		if dead {
			disconnect()
			if dies {
				close(died)
			}
			<-counted
		}
	})
	run := func(on bool) {
		mu.Lock()
		running = on
		mu.Unlock()
	}
	run(true)
	go func() {
		defer close(ended)
		err = o.Do()
	}()
	select {
	case <-ended:
	case <-died:
	}
	run(false)
	defer func() { <-ended }() // then err is set
	defer close(counted)
	return met, o.Found(), err
}

// check reports what must not be found.
func (e Effects) check(t *testing.T, when string) {
	t.Helper()
	found := fmt.Sprintf("%s: %d rotations in the database, %d events, acted %d times", when, e.Rotations, e.Events, e.Acted)
	switch {
	case e.Acted > e.Rotations:
		t.Errorf("%s: the service acts on a rotation before it has stored it (duty 3)", found)
	case e.Events > e.Rotations:
		t.Errorf("%s: an event without its rotation: publish it after the commit, from the database", found)
	case e.Events < e.Rotations:
		t.Errorf("%s: a rotation without its event: write both in one transaction", found)
	}
}
