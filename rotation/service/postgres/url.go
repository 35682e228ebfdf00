package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"cvvrotation/rotation/service/internal/loopback"
)

// CheckURL returns the error that Open and Migrate return for the URL itself. It does
// not connect. It reads the files that the URL names, and the environment variables
// of PostgreSQL's clients, such as PGSSLMODE. Its errors hold no part of a password.
func CheckURL(url string) error {
	_, err := parse(url, nil)
	return err
}

// parse parses the URL of a database and calls configure, which may be nil. Its errors
// hold no part of a password.
func parse(text string, configure func(*pgxpool.Config) error) (*pgxpool.Config, error) {
	u, err := url.Parse(text)
	// Parsers disagree where a password that contains @ ends. Its rest would become
	// a host name, which errors quote.
	stray := strings.Count(text, "@") > 1 || strings.Contains(text, "@") && u != nil && u.User == nil
	if err != nil || stray || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		// The parser's error quotes its input.
		return nil, errors.New("postgres: the database's URL must look like postgres://user:password@host:5432/database?sslmode=verify-full, with %, @ and other special characters of a password written as %25, %40")
	}
	config, err := pgxpool.ParseConfig(text)
	if err != nil {
		return nil, fmt.Errorf("postgres: the database's URL: %s", reason(u, err))
	}
	config.ConnConfig.DialFunc = dialer().DialContext
	if configure != nil {
		if err := configure(config); err != nil {
			return nil, fmt.Errorf("postgres: Options.Configure: %w", err)
		}
	}
	conn := &config.ConnConfig.Config
	if mode := config.ConnConfig.DefaultQueryExecMode; mode == pgx.QueryExecModeExec || mode == pgx.QueryExecModeSimpleProtocol {
		return nil, fmt.Errorf("postgres: default_query_exec_mode must not be %s: the store prepares its statements, so a pooler must be in session mode", mode)
	}
	if undecided(conn) {
		return nil, errors.New("postgres: the database's URL does not decide whether the connection is encrypted: add sslmode=verify-full, or sslmode=disable for none; prefer, allow and the default let an attacker on the network decide")
	}
	for name, value := range parameters {
		if _, ok := conn.RuntimeParams[name]; !ok {
			conn.RuntimeParams[name] = value
		}
	}
	requireWrites(conn)
	level, err := commitLevel(conn)
	if err != nil {
		return nil, err
	}
	after := config.AfterConnect
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if after != nil {
			if err := after(ctx, conn); err != nil {
				return err
			}
		}
		registerArrays(conn)
		_, err := conn.Exec(ctx, "SET synchronous_commit = "+level)
		return err
	}
	if conn.ConnectTimeout == 0 {
		conn.ConnectTimeout = connectTimeout
		if len(conn.Fallbacks) > 0 {
			conn.ConnectTimeout = connectTimeoutOfHosts
		}
	}
	config.PingTimeout = 5 * time.Second
	return config, nil
}

// undecided reports whether the client would try a connection to another machine
// both with and without TLS, which lets an attacker on the network disable TLS. That
// is the default of PostgreSQL's clients.
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

// Weakness returns a sentence about a connection to another machine that an attacker on
// the network could read or redirect: one without TLS (sslmode=disable), or one that
// does not verify the server's certificate (sslmode=require). It returns "" if there is
// none, or if CheckURL returns an error.
func Weakness(url string) string {
	config, err := parse(url, nil)
	if err != nil {
		return ""
	}
	c := &config.ConnConfig.Config
	weakness := ""
	for _, way := range append([]*pgconn.FallbackConfig{{Host: c.Host, Port: c.Port, TLSConfig: c.TLSConfig}}, c.Fallbacks...) {
		network, _ := pgconn.NetworkAddress(way.Host, way.Port)
		switch t := way.TLSConfig; {
		case network == "unix" || loopback.IsHost(way.Host):
		case t == nil:
			return "the connection is not encrypted (sslmode=disable): use sslmode=verify-full"
		case t.InsecureSkipVerify && t.VerifyPeerCertificate == nil && t.VerifyConnection == nil:
			weakness = "the server's certificate is not verified (sslmode=require), so another server can take its place: use sslmode=verify-full"
		}
	}
	return weakness
}

// reason returns the text of a parser's error without the URL at its beginning, and
// without any part that may be secret.
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
			return "invalid host, port or option"
		}
	}
	return text
}
