package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"cvvrotation/rotation/service/postgres/pgtest"
	"cvvrotation/sim/must"
)

// recovery is how soon everything must work again once a primary can be reached.
const recovery = 5 * time.Second

// TestServe_FailoverLosesNothing crashes the primary of a daemon, promotes its synchronous
// standby, brings the former primary back as a standby, and moves the address last. What
// callers were answered is compared with the new primary and with the delivered events.
func TestServe_FailoverLosesNothing(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts two PostgreSQL servers, and waits for an outage of 5 s")
	}
	former := pgtest.New(t, "fsync=off", "cvvd.fsync=off") // servers crash here, the machine does not
	database := former.NewDatabase(t)
	proxy := pgtest.NewProxy(t, former)
	env := settings(t, "CVVD_STORE_KIND=postgres", "CVVD_STORE_URL="+proxy.URL(t, database), "CVVD_EVENTS_SINK=jsonl", "CVVD_EVENTS_FILE=-")
	operator(t, env, "migrate")
	next := former.Standby(t, "fsync=off", "cvvd.fsync=off")
	former.Synchronous(t)
	p := start(t, env, "serve").serving()
	c := &callers{p: p, auth: token(t, "cards:register cvv:rotate"), answers: map[int]int{}, rotated: map[string]int{}}
	c.begin(t, "a", "b", "c")
	until(t, "calls are answered", func() bool { return c.count(200) > 20 })

	due := time.Now().Add(3 * time.Second).UTC() // during the outage
	body := fmt.Sprintf(`{"cvv_rotation_interval_hours":24,"cvv_first_rotation_date":%q}`, due.Format(time.RFC3339Nano))
	if status, answer := p.send("PUT", p.pci+"/v1/cards/due", c.auth, body); status != 201 {
		t.Fatal(status, answer)
	}
	former.Stop(t)
	began := time.Now()
	next.Promote(t)
	former.Follow(t, next)
	until(t, "/readyz fails", func() bool { return !c.ready() })
	time.Sleep(time.Until(began.Add(5 * time.Second)))
	if c.ready() {
		t.Error("/readyz is ok on a standby")
	}

	proxy.Move(next)
	moved, before := time.Now(), c.count(200)
	took := map[string]time.Duration{}
	for what, done := range map[string]func() bool{
		"calls succeed":    func() bool { return c.count(200) > before },
		"/readyz is ok":    c.ready,
		"due card rotates": func() bool { return strings.Contains(p.out.String(), `"id":"due.2"`) },
	} {
		until(t, what, done)
		took[what] = time.Since(moved).Round(10 * time.Millisecond)
	}
	for what, d := range took {
		if d > recovery {
			t.Errorf("%s after %v", what, d)
		}
	}
	t.Logf("after the address moved: %v", took)
	c.check(t, pgtest.HostsURL(t, database, next))
}

// TestServe_WaitsForAPrimary starts a daemon on a standby.
func TestServe_WaitsForAPrimary(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts two PostgreSQL servers")
	}
	primary := pgtest.New(t, "fsync=off", "cvvd.fsync=off")
	database := primary.NewDatabase(t)
	operator(t, settings(t, "CVVD_STORE_KIND=postgres", "CVVD_STORE_URL="+database), "migrate")
	standby := primary.Standby(t, "fsync=off", "cvvd.fsync=off")
	env := settings(t, "CVVD_STORE_KIND=postgres", "CVVD_STORE_URL="+pgtest.HostsURL(t, database, standby), "CVVD_EVENTS_SINK=none")
	early, p := start(t, env, "serve"), start(t, env, "serve")
	for _, p := range []*process{early, p} {
		p.wait(p.log, "database accepts no writes; waiting for a primary")
	}
	if err := early.end(syscall.SIGTERM); exitCode(err) != 1 {
		t.Errorf("a daemon that waits ended with %v after SIGTERM", err)
	}
	standby.Promote(t)
	promoted := time.Now()
	p.serving()
	if took := time.Since(promoted); took > recovery {
		t.Errorf("it serves %v after the promotion", took)
	}
}

// callers rotate cards over HTTP, and keep what they were answered.
type callers struct {
	p    *process
	auth string

	mu      sync.Mutex
	answers map[int]int    // by status
	rotated map[string]int // by card: answered with 200
	stop    func()
}

// begin registers the cards and rotates them until stop is called.
func (c *callers) begin(t *testing.T, cards ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	for _, card := range cards {
		if status, answer := c.p.send("PUT", c.p.pci+"/v1/cards/"+card, c.auth, `{"cvv_rotation_interval_hours":24}`); status != 201 {
			t.Fatal(status, answer)
		}
		wait.Go(func() {
			for ctx.Err() == nil {
				status, _, err := c.p.try("POST", c.p.pci+"/v1/cards/"+card+"/cvv/rotate", c.auth, "")
				c.mu.Lock()
				if err == nil {
					c.answers[status]++
				}
				if status == http.StatusOK {
					c.rotated[card]++
				}
				c.mu.Unlock()
				time.Sleep(50 * time.Millisecond)
			}
		})
	}
	c.stop = sync.OnceFunc(func() {
		cancel()
		wait.Wait()
	})
	t.Cleanup(c.stop)
}

// count returns how many calls had the status.
func (c *callers) count(status int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answers[status]
}

func (c *callers) ready() bool {
	status, _ := c.p.get(c.p.ops + "/readyz")
	return status == http.StatusOK
}

// check ends the calls and compares their answers with the database and the events.
func (c *callers) check(t *testing.T, url string) {
	t.Helper()
	c.stop()
	for status, n := range c.answers {
		if status != 200 && status != 503 && status != 429 {
			t.Errorf("%d calls were answered with %d", n, status)
		}
	}
	t.Logf("answers by status: %v", c.answers)
	if c.answers[503] == 0 {
		t.Error("no call met the outage")
	}
	conn := must.Get(pgx.Connect(t.Context(), url))(t)
	defer conn.Close(context.Background())
	for card, acknowledged := range c.rotated {
		var rotations, events int
		must.Do(t, conn.QueryRow(t.Context(), "SELECT version - 1, events FROM cards WHERE id = $1", card).Scan(&rotations, &events))
		if rotations < acknowledged {
			t.Errorf("card %s: %d rotations were answered, %d are stored", card, acknowledged, rotations)
		}
		until(t, "all events of "+card+" are delivered", func() bool {
			return strings.Contains(c.p.out.String(), fmt.Sprintf(`"id":"%s.%d"`, card, events))
		})
		for n, out := 1, c.p.out.String(); n <= events; n++ {
			if !strings.Contains(out, fmt.Sprintf(`"id":"%s.%d"`, card, n)) {
				t.Errorf("event %s.%d was never delivered", card, n)
			}
		}
	}
}
