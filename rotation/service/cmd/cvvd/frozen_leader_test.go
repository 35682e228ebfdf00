package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"cvvrotation/rotation/service/postgres/pgtest"
)

// TestServe_FrozenLeaderIsReplaced stops the process that holds the outbox lease. Its
// kernel still answers keepalives; the server must end its session all the same, and
// the other replica deliver. When the process continues, it delivers nothing more.
func TestServe_FrozenLeaderIsReplaced(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits 15 s for a timeout of PostgreSQL")
	}
	env := settings(t, "CVVD_STORE_KIND=postgres", "CVVD_STORE_URL="+pgtest.Start(t), "CVVD_EVENTS_SINK=jsonl", "CVVD_EVENTS_FILE=-")
	operator(t, env, "migrate")
	leader := start(t, env, "serve").serving()
	leader.wait(leader.log, "outbox lease acquired")
	other := start(t, env, "serve").serving()
	auth := token(t, "cards:register cvv:rotate")
	rotate := func(n int) {
		t.Helper()
		for range n {
			if status, answer := other.send("POST", other.pci+"/v1/cards/a/cvv/rotate", auth, ""); status != 200 {
				t.Fatal(status, answer)
			}
		}
	}
	if status, answer := other.send("PUT", other.pci+"/v1/cards/a", auth, `{"cvv_rotation_interval_hours":24}`); status != 201 {
		t.Fatal(status, answer)
	}
	until(t, "the leader delivers", func() bool { return strings.Contains(leader.out.String(), `"a.1"`) })

	leader.signal(syscall.SIGSTOP)
	frozen := time.Now()
	rotate(3)
	until(t, "the other replica delivers", func() bool { return strings.Contains(other.out.String(), `"a.4"`) })
	t.Logf("took over after %v", time.Since(frozen).Round(time.Second))

	leader.signal(syscall.SIGCONT)
	rotate(3)
	leader.wait(leader.log, "outbox lease lost")
	until(t, "the other replica delivers all", func() bool { return strings.Contains(other.out.String(), `"a.7"`) })
	for n := 2; n <= 7; n++ {
		id := fmt.Sprintf(`"id":"a.%d"`, n)
		if in := strings.Count(other.out.String(), id); in != 1 {
			t.Errorf("the other replica delivered event %d %d times", n, in)
		}
		if strings.Contains(leader.out.String(), id) {
			t.Errorf("the former leader delivered event %d", n)
		}
	}
}
