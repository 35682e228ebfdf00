package postgres

import (
	"net/url"
	"strings"
	"testing"

	"cvvrotation/rotation/store/postgres/pgtest"
)

// No error shows a password, wherever in a URL it stands and whatever is wrong
// with the URL.
func TestPasswordsStaySecret(t *testing.T) {
	const secret = "hunter2"
	for _, url := range []string{
		"postgres://u:hunter2@127.0.0.1:1/db?sslmode=disable",
		"postgres://u:hunter2@127.0.0.1:port/db",
		"postgres://u:hunter2@127.0.0.1:99999/db",
		"postgres://u:hunter2%zz@127.0.0.1/db",
		"postgres://u:hunter2#@127.0.0.1/db",
		"postgres://u:hunter2/@127.0.0.1:1/db",
		"postgres://u:hunter2 @127.0.0.1:1/db",
		"postgres://u:hunter2@[::1/db",
		"postgres://u:hunter2@127.0.0.1:1/db?sslmode=hunter2",
		"postgres://127.0.0.1:1/db?user=u&password=hunter2&sslmode=no",
		"postgres://127.0.0.1:1/db?user=u&password=hunter2&connect_timeout=hunter2",
		"postgres://127.0.0.1:1/db?sslpassword=hunter2&sslmode=verify-full&sslrootcert=/nowhere/hunter2",
		"postgres://127.0.0.1:1/db?sslkey=/nowhere&sslcert=/nowhere&sslpassword=hunter2&password=hunter2",
		"postgres://u:hunter2@127.0.0.1:1/db?pool_max_conns=hunter2",
		"postgres://u:hunter2@/db?host=/nowhere",
		"postgres://u:very@hunter2@127.0.0.1:1/db",
		"postgres://u:1/hunter2@127.0.0.1:1/db?sslmode=disable",
		"postgres://u:1?hunter2@127.0.0.1:1/db?sslmode=disable",
		"postgres://u:hunter2@127.0.0.1:1/db?synchronous_commit=hunter2",
		"host=127.0.0.1 port=1 password=hunter2",
		"host=127.0.0.1 port=1 password='hunter2",
		"u:hunter2@127.0.0.1/db",
		"mysql://u:hunter2@127.0.0.1/db",
		"hunter2",
		strings.Replace(pgtest.Start(t), "postgres@", "nobody:hunter2@", 1),
	} {
		_, openErr := Open(t.Context(), Options{URL: url})
		for call, err := range map[string]error{"Open": openErr, "Migrate": Migrate(t.Context(), url), "CheckURL": CheckURL(url)} {
			shown := strings.ReplaceAll(url, secret, "…")
			if err == nil && call != "CheckURL" {
				t.Errorf("%s(%s) worked", call, shown)
			} else if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("%s(%s) shows the password: %s", call, shown, strings.ReplaceAll(err.Error(), secret, "…"))
			}
		}
	}
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	for url, want := range map[string]string{
		"postgres://u:p@127.0.0.1:port/db":                      "like postgres://",
		"postgres://u:secret@127.0.0.1/db?sslmode=perhaps":      "sslmode",
		"postgres://u:secret@127.0.0.1/db?connect_timeout=soon": "connect_timeout",
		"postgres://u:sec@ret@127.0.0.1/db":                     "%40",
	} {
		if _, err := parse(url); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want something with %q", url, err, want)
		}
	}
}

func TestSessionsCanBeSet(t *testing.T) {
	c, err := parse("postgres://u@127.0.0.1/db?statement_timeout=1min&search_path=cards")
	if err != nil {
		t.Fatal(err)
	}
	got := c.ConnConfig.RuntimeParams
	if got["statement_timeout"] != "1min" || got["search_path"] != "cards" || got["application_name"] != "cvvd" {
		t.Errorf("parameters %v", got)
	}
}

// Commits may wait for more than the disk, and not for less.
func TestCommitsCanNotBeWeakened(t *testing.T) {
	for level, ok := range map[string]bool{
		"on": true, "ON": true, "remote_apply": true,
		"off": false, "local": false, "remote_write": false, "0": false, "": false, "on; SELECT 1": false,
	} {
		err := CheckURL("postgres://127.0.0.1/d?synchronous_commit=" + url.QueryEscape(level))
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "on or remote_apply") {
			t.Errorf("synchronous_commit=%s: %v", level, err)
		}
	}
}
