package postgres

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"cvvrotation/rotation/service/internal/loopback"
)

// CheckURL returns the error that Open and Migrate return for the URL itself. It does
// not connect. It reads the files that the URL names, and the environment variables
// of PostgreSQL's clients, such as PGSSLMODE. Its errors hold no part of a password.
func CheckURL(url string) error {
	_, err := parse(url)
	return err
}

// parse parses the URL of a database. Its errors hold no part of a password.
func parse(text string) (*pgxpool.Config, error) {
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
	conn := &config.ConnConfig.Config
	if undecided(conn) {
		return nil, errors.New("postgres: the database's URL does not decide whether the connection is encrypted: add sslmode=verify-full, or sslmode=disable for none; prefer, allow and the default let an attacker on the network decide")
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
