package killtest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cvvrotation/rotation"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/jsonl"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/postgres"
	"cvvrotation/rotation/service/sqlite"
	"cvvrotation/servicecode"
	"cvvrotation/sim/check/enginecheck"
)

// childVariable turns the test binary into a child. Its value is the orders.
const childVariable = "CVV_KILLTEST_CHILD"

func TestMain(m *testing.M) {
	if text := os.Getenv(childVariable); text != "" {
		var o orders
		err := json.Unmarshal([]byte(text), &o)
		switch {
		case err != nil:
		case o.Calls > 0:
			err = o.traced()
		default:
			err = o.child()
		}
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const (
	guard   = 20 * time.Millisecond
	callers = 3 // of a child, beside the one that changes intervals
	cards   = 20
	forced  = 8 // of the cards; the others rotate on schedule alone
)

// orders are the arguments of a child.
type orders struct {
	Path, URL string // of the database: SQLite's or PostgreSQL's
	Dir       string // of the files
	Child     int    // number; its successor has the same
	Life      int    // number of the process, of all that were started
	Seed      uint64
	Answered  [callers]int // calls of each caller that were answered by previous processes
	Calls     int          // number of calls of each caller of a traced child; 0: until it is killed
	Pragmas   []string     // for SQLite's connections, after the store is open
	Close     bool         // close the store at the end
	Bug       string       // of enginecheck, or "hasty", which a test must find
}

// acknowledged is the record of an answered call.
type acknowledged struct {
	Caller   int              // -1: the caller that changes intervals
	Forced   *engine.Rotation `json:",omitempty"`
	Card     string           `json:",omitempty"` // an interval was set
	At       time.Time        `json:",omitzero"`
	Interval time.Duration    `json:",omitempty"`
}

func (o *orders) answersFile() string {
	return filepath.Join(o.Dir, fmt.Sprintf("answers-%d.jsonl", o.Child))
}

func (o *orders) eventsFile() string { return filepath.Join(o.Dir, "events.jsonl") }

// open opens the database and creates an engine on it.
func (o *orders) open() (store.Store, *engine.Engine, error) {
	ctx := context.Background()
	var s store.Store
	var err error
	if o.Path != "" {
		s, err = sqlite.Open(ctx, o.Path, sqlite.Options{})
	} else {
		// The server may be restarting after a kill.
		for deadline := time.Now().Add(patience); ; {
			s, err = postgres.Open(ctx, o.URL, postgres.Options{})
			if err == nil || time.Now().After(deadline) {
				break
			}
		}
	}
	if err != nil {
		return nil, nil, err
	}
	rules, err := rotation.NewRules(guard, rotation.GuardFromRequest)
	if err != nil {
		return nil, nil, err
	}
	keys, err := seal.NewKeyring(seal.NewKey(1, make([]byte, seal.KeySize)))
	if err != nil {
		return nil, nil, err
	}
	seen := s
	if bug, ok := enginecheck.FindBug(o.Bug); ok {
		seen = bug.Wrap(s, o.Life)
	} else if o.Bug == "hasty" {
		seen = hasty{s}
	}
	e, err := engine.New(seen, engine.Random(nil, keys), engine.Options{
		Rules:   rules,
		Workers: 2, Batch: 5, Poll: 20 * time.Millisecond, Sweep: 100 * time.Millisecond,
	})
	return s, e, err
}

// child follows its orders until it or its parent is killed.
func (o *orders) child() error {
	endWithParent()
	s, e, err := o.open()
	if err != nil {
		return err
	}
	sink, err := o.sink()
	if err != nil {
		return err
	}
	relay, err := outbox.New(s, sink, outbox.Options{Poll: 10 * time.Millisecond, LeaseRetry: 30 * time.Millisecond, Batch: 20})
	if err != nil {
		return err
	}
	file, err := os.OpenFile(o.answersFile(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	failed := make(chan error)
	ctx := context.Background()
	go func() { failed <- e.Run(ctx) }()
	go func() { failed <- relay.Run(ctx) }()
	for caller := range callers {
		go func() { failed <- o.force(ctx, e, caller, o.Answered[caller], math.MaxInt, file) }()
	}
	go func() { failed <- o.reschedule(ctx, e, file) }()
	fmt.Println("ready")
	return <-failed
}

func endWithParent() {
	go func() {
		io.Copy(io.Discard, os.Stdin) // ends when the parent does
		os.Exit(3)
	}()
}

// sink opens the file of events, to which several children may append.
func (o *orders) sink() (outbox.Sink, error) {
	if o.Path != "" {
		return jsonl.Open(o.eventsFile())
	}
	f, err := os.OpenFile(o.eventsFile(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return jsonl.New(lines{f})
}

// lines appends to a file and starts a new line with each write, because a killed
// child may have left half a line.
type lines struct{ f *os.File }

func (l lines) Write(b []byte) (int, error) {
	n, err := l.f.Write(append([]byte{'\n'}, b...))
	return max(n-1, 0), err
}

// note records an answer in one write.
func note(f *os.File, a acknowledged) error {
	b, err := json.Marshal(a)
	if err == nil {
		_, err = lines{f}.Write(append(b, '\n'))
	}
	return err
}

// force makes the calls first (inclusive) to last (exclusive) of a caller in sequence,
// and repeats each until it is answered.
func (o *orders) force(ctx context.Context, e *engine.Engine, caller, first, last int, file *os.File) error {
	for n := first; n < last; n++ {
		ref, req := o.call(caller, n)
		result, err := e.Force(ctx, ref, req)
		for ; err != nil; result, err = e.Force(ctx, ref, req) {
			if errors.Is(err, engine.ErrInvalid) || errors.Is(err, engine.ErrKeyReused) || errors.Is(err, store.ErrNotFound) {
				return fmt.Errorf("call %d of caller %d: %w", n, caller, err)
			}
			time.Sleep(10 * time.Millisecond) // the server is down
		}
		time.Sleep(time.Duration(n%4) * time.Millisecond) // time until the answer reaches the caller
		if err := note(file, acknowledged{Caller: caller, Forced: &result}); err != nil {
			return err
		}
	}
	return nil
}

// call returns call number n of a caller. It is the same in every process.
func (o *orders) call(caller, n int) (engine.Ref, engine.ForceRequest) {
	key := fmt.Sprintf("child %d, caller %d, call %d", o.Child, caller, n)
	h := hash(o.Seed, key)
	req := engine.ForceRequest{Key: key, Compromised: h%5 == 0}
	if h%7 == 0 {
		req.ServiceCode = servicecode.MustParse("201")
	}
	return refOf(h >> 8 % forced), req
}

func refOf(h uint64) engine.Ref {
	return engine.Ref{Card: fmt.Sprintf("card-%d", h%cards), Account: "acme"}
}

func hash(seed uint64, text string) uint64 {
	h := fnv.New64a()
	fmt.Fprint(h, seed, text)
	x := h.Sum64()
	return x ^ x>>29
}

// reschedule changes intervals until ctx ends.
func (o *orders) reschedule(ctx context.Context, e *engine.Engine, file *os.File) error {
	for n := 0; ctx.Err() == nil; n++ {
		h := hash(o.Seed, fmt.Sprint("interval ", o.Child, os.Getpid(), n))
		ref := refOf(h >> 8)
		var s engine.Schedule
		var err error
		if h%6 == 0 {
			s, err = e.Disable(ctx, ref)
		} else {
			s, err = e.SetInterval(ctx, ref, engine.IntervalRequest{
				Interval: guard + time.Duration(1+h>>20%200)*time.Millisecond, Spread: h%2 == 0,
			})
		}
		if err == nil {
			err = note(file, acknowledged{Caller: -1, Card: ref.Card, At: s.At, Interval: s.Interval})
			if err != nil {
				return err
			}
		}
		time.Sleep(5 * time.Millisecond) // leave time for the other callers
	}
	return nil
}

// readLines calls f with every complete line of a file. It ignores a line that a kill
// cut short, and a missing file.
func readLines(path string, f func(line []byte)) error {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	in := bufio.NewReader(file)
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if len(line) > 1 && json.Valid(line) {
			f(line)
		}
	}
}
