package postgres

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"cvvrotation/rotation/service/postgres/pgtest"
	"cvvrotation/sim/must"
)

// No error shows a password, wherever it is in the URL and whatever else is wrong.
func TestOpen_ErrorsHoldNoPassword(t *testing.T) {
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
		"postgres://u:hunter2@db.example/db",
		"postgres://u:hunter2@127.0.0.1:1/db?synchronous_commit=hunter2",
		"host=127.0.0.1 port=1 password=hunter2",
		"host=127.0.0.1 port=1 password='hunter2",
		"u:hunter2@127.0.0.1/db",
		"mysql://u:hunter2@127.0.0.1/db",
		"hunter2",
		strings.Replace(pgtest.Start(t), "postgres@", "nobody:hunter2@", 1),
	} {
		_, openErr := Open(t.Context(), url, Options{})
		for call, err := range map[string]error{"Open": openErr, "Migrate": Migrate(t.Context(), url, Options{}), "CheckURL": CheckURL(url)} {
			shown := strings.ReplaceAll(url, secret, "…")
			if err == nil && call != "CheckURL" {
				t.Errorf("%s(%s) worked", call, shown)
			} else if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("%s(%s) shows the password: %s", call, shown, strings.ReplaceAll(err.Error(), secret, "…"))
			}
		}
	}
}

func TestParse_ErrorNamesTheInvalidPart(t *testing.T) {
	for url, want := range map[string]string{
		"postgres://u:p@127.0.0.1:port/db":                      "like postgres://",
		"postgres://u:secret@127.0.0.1/db?sslmode=perhaps":      "sslmode",
		"postgres://u:secret@127.0.0.1/db?connect_timeout=soon": "connect_timeout",
		"postgres://u:sec@ret@127.0.0.1/db":                     "%40",
	} {
		t.Run(want, func(t *testing.T) {
			if _, err := parse(url, nil); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v; want an error with %q", url, err, want)
			}
		})
	}
}

func TestParse_URLOverridesSessionSettings(t *testing.T) {
	c := must.Get(parse("postgres://u@127.0.0.1/db?statement_timeout=1min&search_path=cards", nil))(t)
	got := c.ConnConfig.RuntimeParams
	if got["statement_timeout"] != "1min" || got["search_path"] != "cards" || got["application_name"] != "cvvd" {
		t.Errorf("parameters %v", got)
	}
}

// The URL decides whether a connection to another machine is encrypted; a URL that
// would try both is refused.
func TestParse_RefusesUndecidedEncryption(t *testing.T) {
	services := filepath.Join(t.TempDir(), "services")
	must.Do(t, os.WriteFile(services, []byte("[open]\nhost=db.example\n[tls]\nhost=db.example\nsslmode=verify-full\n"), 0o600))
	for _, test := range []struct{ url, env, want string }{
		{"db.example/d", "", "refused"},
		{"db.example:5433/d?sslmode=", "", "refused"},
		{"db.example/d?sslmode=prefer", "", "refused"},
		{"db.example/d?sslmode=allow", "", "refused"},
		{"db.example/d?sslmode=disable", "", "plain"},
		{"db.example/d?sslmode=require", "", "encrypted"},
		{"db.example/d?ssl=true", "", "encrypted"},
		{"db.example/d?sslnegotiation=direct", "", "encrypted"},
		{"db.example/d?sslmode=verify-ca", "", "encrypted"},
		{"db.example/d?sslmode=verify-full", "", "verified"},
		{"db.example/d?sslrootcert=system", "", "verified"},

		{"192.0.2.7/d", "", "refused"},
		{"0.0.0.0/d", "", "refused"},
		{"[2001:db8::7]/d", "", "refused"},
		{"[2001:db8::7]:5433/d?sslmode=verify-full", "", "verified"},
		{"localhost.example/d", "", "refused"},
		{"localhost/d", "", "either"},
		{"127.0.0.1/d", "", "either"},
		{"127.8.8.8:5433/d", "", "either"},
		{"[::1]/d", "", "either"},
		{"[::1]:5433/d?sslmode=disable", "", "plain"},
		{"localhost/d?sslmode=verify-full", "", "verified"},
		{"/d?host=/run/postgresql", "", "plain"},
		{"/d?host=/run/postgresql&sslmode=verify-full", "", "plain"},

		{"db1.example,db2.example/d", "", "refused"},
		{"db1.example:5432,db2.example:5433/d?sslmode=verify-full", "", "verified"},
		{"db1.example,db2.example/d?sslmode=disable", "", "plain"},
		{"127.0.0.1,db.example/d", "", "refused"},
		{"db.example,127.0.0.1/d", "", "refused"},
		{"/d?host=/run/postgresql,db.example", "", "refused"},
		{"/d?host=/run/postgresql,db.example&sslmode=verify-full", "", "either"}, // plain to the socket alone
		{"/d?host=::1,2001:db8::7", "", "refused"},
		{"/d?host=::1,localhost", "", "either"},

		{"db.example/d", "PGSSLMODE=verify-full", "verified"},
		{"db.example/d", "PGSSLMODE=disable", "plain"},
		{"db.example/d", "PGSSLMODE=prefer", "refused"},
		{"db.example/d?sslmode=prefer", "PGSSLMODE=verify-full", "refused"},
		{"/d", "PGHOST=db.example", "refused"},
		{"/d", "PGHOST=127.0.0.1", "either"},
		{"/d?service=open", "PGSERVICEFILE=" + services, "refused"},
		{"/d?service=tls", "PGSERVICEFILE=" + services, "verified"},
	} {
		t.Run(test.url+" "+test.env, func(t *testing.T) {
			for _, name := range []string{"PGHOST", "PGSSLMODE", "PGSERVICE"} {
				t.Setenv(name, "")
			}
			if name, value, ok := strings.Cut(test.env, "="); ok {
				t.Setenv(name, value)
			}
			c, err := parse("postgres://"+test.url, nil)
			if err != nil {
				if test.want != "refused" || !strings.Contains(err.Error(), "sslmode=verify-full, or sslmode=disable") {
					t.Errorf("%v; want %s", err, test.want)
				}
				return
			}
			ways := map[string]bool{}
			for _, way := range append(c.ConnConfig.Fallbacks, &pgconn.FallbackConfig{TLSConfig: c.ConnConfig.TLSConfig}) {
				switch {
				case way.TLSConfig == nil:
					ways["plain"] = true
				case way.TLSConfig.InsecureSkipVerify:
					ways["encrypted"] = true
				default:
					ways["verified"] = true
				}
			}
			if either := test.want == "either" && len(ways) == 2; !either && (len(ways) != 1 || !ways[test.want]) {
				t.Errorf("connections are %v, want %s", ways, test.want)
			}
		})
	}
	if err := CheckURL("host=db.example sslmode=verify-full"); err == nil {
		t.Error("keyword=value pairs were accepted as a URL")
	}
}

func TestCheckURL_RefusesWeakSynchronousCommit(t *testing.T) {
	for level, ok := range map[string]bool{
		"on": true, "ON": true, "remote_apply": true,
		"off": false, "local": false, "remote_write": false, "0": false, "": false, "on; SELECT 1": false,
	} {
		t.Run(level, func(t *testing.T) {
			err := CheckURL("postgres://127.0.0.1/d?synchronous_commit=" + url.QueryEscape(level))
			if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "on, remote_apply or absent") {
				t.Error(err)
			}
		})
	}
}

func TestWeakness_OfConnectionsToOtherMachines(t *testing.T) {
	for _, name := range []string{"PGHOST", "PGSSLMODE", "PGSERVICE", "PGSSLROOTCERT"} {
		t.Setenv(name, "")
	}
	for url, want := range map[string]string{
		"db.example/d?sslmode=require":                           "sslmode=require",
		"db.example/d?ssl=true":                                  "sslmode=require",
		"db.example/d?sslnegotiation=direct":                     "sslmode=require",
		"db.example/d?sslmode=disable":                           "sslmode=disable",
		"db.example/d?sslmode=verify-full":                       "",
		"db.example/d?sslmode=verify-ca":                         "",
		"db.example/d":                                           "", // refused
		"127.0.0.1,db.example/d?sslmode=require":                 "sslmode=require",
		"127.0.0.1/d?sslmode=require":                            "",
		"[::1]/d?sslmode=disable":                                "",
		"/d?host=/run/postgresql":                                "",
		"/d?host=/run/postgresql,db.example&sslmode=verify-full": "",
		"/d?host=/run/postgresql,db.example&sslmode=require":     "sslmode=require",
	} {
		t.Run(url, func(t *testing.T) {
			if got := Weakness("postgres://u:hunter2@" + url); (got == "") != (want == "") || !strings.Contains(got, want) || strings.Contains(got, "hunter2") {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
	t.Setenv("PGSSLMODE", "require")
	if Weakness("postgres://db.example/d") == "" {
		t.Error("not found in the environment")
	}
}
