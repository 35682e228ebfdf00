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
