package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"cvvrotation/rotation/service/internal/loopback"
)

// parameters are sent when a connection is made, unless the URL sets them: what
// a server or a role has set for others does not count.
//
// Every statement here is meant to go through an index, and none is planned
// anew for its parameters. A plan that turns into a scan of the whole table
// because statistics are stale is how queues in a database die.
var parameters = map[string]string{
	"application_name":                    "cvvd",
	"statement_timeout":                   "30s",
	"idle_in_transaction_session_timeout": "10s",
	"default_transaction_isolation":       "read committed",
	"plan_cache_mode":                     "force_generic_plan",
	"enable_seqscan":                      "off",
	"enable_bitmapscan":                   "off",
	"enable_hashjoin":                     "off",
	"enable_mergejoin":                    "off",
	"jit":                                 "off",
}

// CheckURL returns the error that Open and Migrate would return for the URL
// itself. It connects to nothing; it reads the files that the URL names, and the
// environment variables of PostgreSQL's clients, such as PGSSLMODE. Its errors hold
// nothing of a password.
func CheckURL(url string) error {
	_, err := parse(url)
	return err
}

// parse reads the URL of a database. Its errors hold nothing of a password.
func parse(text string) (*pgxpool.Config, error) {
	u, err := url.Parse(text)
	// Parsers disagree on where a password with an @ ends, and its rest would be
	// a host's name, which errors quote.
	stray := strings.Count(text, "@") > 1 || strings.Contains(text, "@") && u != nil && u.User == nil
	if err != nil || stray || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		// The parser's error quotes what it was given.
		return nil, errors.New("postgres: the database's URL must look like postgres://user:password@host:5432/database?sslmode=verify-full, with %, @ and the like in a password written as %25, %40")
	}
	config, err := pgxpool.ParseConfig(text)
	if err != nil {
		return nil, fmt.Errorf("postgres: the database's URL: %s", reason(u, err))
	}
	conn := &config.ConnConfig.Config
	if undecided(conn) {
		return nil, errors.New("postgres: the database's URL leaves it open whether the connection is encrypted: write sslmode=verify-full, or sslmode=disable to do without; with prefer, allow or nothing, whoever is on the way decides")
	}
	for name, value := range parameters {
		if _, ok := conn.RuntimeParams[name]; !ok {
			conn.RuntimeParams[name] = value
		}
	}
	if err := commitDurably(conn); err != nil {
		return nil, err
	}
	if conn.ConnectTimeout == 0 {
		conn.ConnectTimeout = 10 * time.Second
	}
	config.PingTimeout = 5 * time.Second
	return config, nil
}

// undecided reports whether a connection to another machine may be encrypted or
// not, as whoever is on the way likes. That is what PostgreSQL's clients do
// unless told otherwise.
func undecided(c *pgconn.Config) bool {
	encrypted, plain := false, false
	for _, way := range append([]*pgconn.FallbackConfig{{Host: c.Host, Port: c.Port, TLSConfig: c.TLSConfig}}, c.Fallbacks...) {
		if network, _ := pgconn.NetworkAddress(way.Host, way.Port); network == "unix" || loopback.IsHost(way.Host) {
			continue
		}
		encrypted = encrypted || way.TLSConfig != nil
		plain = plain || way.TLSConfig == nil
	}
	return encrypted && plain
}

// commitDurably makes a commit be answered when it is on disk, and on that of
// synchronous standbys, whatever is set for the server, the database or the role.
// It takes a statement, since a pooler may drop what is sent to connect.
func commitDurably(c *pgconn.Config) error {
	const name = "synchronous_commit"
	level := "on"
	if given, ok := c.RuntimeParams[name]; ok {
		if level = strings.ToLower(given); level != "on" && level != "remote_apply" {
			// It is not quoted: a mistake may have put anything there.
			return errors.New("postgres: the database's URL: synchronous_commit must be on or remote_apply, or be left out: what was answered must not get lost")
		}
	}
	c.AfterConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		_, err := conn.Exec(ctx, "SET "+name+" = "+level).ReadAll()
		return err
	}
	return nil
}

// reason returns what is wrong with a URL, without the URL, which the error of
// the parser begins with.
func reason(u *url.URL, err error) string {
	text := err.Error()
	if _, after, ok := strings.Cut(text, "`: "); ok {
		text = after
	}
	secrets := []string{u.String(), u.RawQuery}
	if password, ok := u.User.Password(); ok {
		secrets = append(secrets, password, url.QueryEscape(password), u.User.String())
	}
	for name, values := range u.Query() {
		if strings.Contains(name, "pass") {
			secrets = append(secrets, values...)
		}
	}
	for _, secret := range secrets {
		if secret != "" && strings.Contains(text, secret) {
			return "a part of it is not understood: host, port or one of the options"
		}
	}
	return text
}
