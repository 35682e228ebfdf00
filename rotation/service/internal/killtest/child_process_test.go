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

// childVariable makes the test binary a child that does what its value says.
const childVariable = "CVV_KILLTEST_CHILD"

func TestMain(m *testing.M) {
	if text := os.Getenv(childVariable); text != "" {
		var o orders
		err := json.Unmarshal([]byte(text), &o)
		switch {
		case err != nil:
		case o.Calls > 0:
			err = o.errand()
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

// orders are what a child is told.
type orders struct {
	Path, URL string // of the database: SQLite's or PostgreSQL's
	Dir       string // where the files are
	Child     int    // its number, which the one has that takes its place
	Life      int    // the number of the process, of all that there were
	Seed      uint64
	Answered  [callers]int // calls of each caller that were answered before
	Calls     int          // how many calls each makes: it is an errand; 0: any number, until it is killed
	Pragmas   []string     // for SQLite's connections, once the store is open
	Close     bool         // the store in the end
	Bug       string       // of enginecheck, or "hasty", to show that it is found
}

// acknowledged is a line about a call that was answered.
type acknowledged struct {
	Caller   int              // -1: the one that changes intervals
	Forced   *engine.Rotation `json:",omitempty"`
	Card     string           `json:",omitempty"` // an interval was set
	At       time.Time        `json:",omitzero"`
	Interval time.Duration    `json:",omitempty"`
}

func (o *orders) answersFile() string {
	return filepath.Join(o.Dir, fmt.Sprintf("answers-%d.jsonl", o.Child))
}

func (o *orders) eventsFile() string { return filepath.Join(o.Dir, "events.jsonl") }

// open opens the database and makes an engine on it.
func (o *orders) open() (store.Store, *engine.Engine, error) {
	ctx := context.Background()
	var s store.Store
	var err error
	if o.Path != "" {
		s, err = sqlite.Open(ctx, o.Path, sqlite.Options{})
	} else {
		// The server may just have been killed; it is started again.
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
	rules, err := rotation.NewRules(guard, rotation.FromRequest)
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

// child does as it is ordered until it is killed, or its parent is.
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
		io.Copy(io.Discard, os.Stdin) // the parent's end of it is gone with the parent
		os.Exit(3)
	}()
}

// sink is a file that this child alone has, or one that several append to.
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

// lines appends to a file, beginning a new line each time: a child that was
// killed may have left half of one.
type lines struct{ f *os.File }

func (l lines) Write(b []byte) (int, error) {
	n, err := l.f.Write(append([]byte{'\n'}, b...))
	return max(n-1, 0), err
}

// note writes down an answer, in one write.
func note(f *os.File, a acknowledged) error {
	b, err := json.Marshal(a)
	if err == nil {
		_, err = lines{f}.Write(append(b, '\n'))
	}
	return err
}

// force makes a caller's calls from the first one up to the last, exclusive, one
// after the other, each until it is answered.
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
		time.Sleep(time.Duration(n%4) * time.Millisecond) // the answer's way to the caller
		if err := note(file, acknowledged{Caller: caller, Forced: &result}); err != nil {
			return err
		}
	}
	return nil
}

// call is call number n of a caller, the same whichever child makes it.
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

// reschedule changes intervals, until ctx ends.
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
		time.Sleep(5 * time.Millisecond) // there is to be more else
	}
	return nil
}

// readLines calls f with every whole line of a file; one that a kill cut short
// is passed over, as is a file that there is not.
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
