package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"cvvrotation/cmd/command"
	"cvvrotation/sim/must"
)

// TestCard_RefusesKeysThatTheDaemonDoesNotUse: with last year's list of keys, a command
// would encrypt a CVV that the daemon cannot decrypt.
func TestCard_RefusesKeysThatTheDaemonDoesNotUse(t *testing.T) {
	t.Parallel()
	env := settings(t)
	keys := func(ids ...byte) {
		list := ""
		for _, id := range ids {
			list += fmt.Sprintf("%d:%s\n", id, base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(id), 32))))
		}
		must.Do(t, os.WriteFile(variable(t, env, "CVVD_KEYS_SEALING_FILE"), []byte(list), 0o600))
	}
	serve := func() {
		t.Helper()
		p := start(t, env, "serve").serving()
		must.Do(t, p.end(syscall.SIGTERM))
	}
	refused := func(want string, args ...string) {
		t.Helper()
		p := start(t, env, args...)
		select {
		case <-p.done:
		case <-time.After(patience):
			t.Fatalf("%v is not refused", args)
		}
		if log := p.log.String(); exitCode(p.err) != command.ExitFailed || !strings.Contains(log, want) || !strings.Contains(log, "hint: ") {
			t.Errorf("%v: %v: %s", args, p.err, log)
		}
	}
	keys(1)
	serve()
	operator(t, env, "card", "register", "--account", "acme", "a")
	keys(2, 1)
	refused("the service encrypts with key 1, and the first key of this list is 2", "card", "force", "a")
	refused("the service encrypts with key 1", "reseal")
	serve()
	operator(t, env, "reseal")
	operator(t, env, "card", "force", "a")

	keys(1) // last year's
	refused("wrong sealing keys", "card", "force", "a")
	refused("wrong sealing keys", "card", "register", "--account", "acme", "b")
	refused("wrong sealing keys", "serve")
	if show := operator(t, env, "card", "show", "a"); !strings.Contains(show, "version 2") { // it decrypts nothing
		t.Error(show)
	}
	keys(1, 2)
	refused("the service encrypts with key 2, and the first key of this list is 1", "card", "force", "a")
	keys(2)
	operator(t, env, "card", "force", "a")
	serve()
}
