package postgres

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// parameters are sent when a connection is made, unless the URL sets them.
//
// Every statement here is meant to go through an index, and none is planned
// anew for its parameters. A plan that turns into a scan of the whole table
// because statistics are stale is how queues in a database die.
var parameters = map[string]string{
	"application_name":                    "cvvd",
	"statement_timeout":                   "30s",
	"idle_in_transaction_session_timeout": "10s",
	"plan_cache_mode":                     "force_generic_plan",
	"enable_seqscan":                      "off",
	"enable_bitmapscan":                   "off",
	"enable_hashjoin":                     "off",
	"enable_mergejoin":                    "off",
	"jit":                                 "off",
}

// parse reads the URL of a database. Its errors hold nothing of a password.
func parse(text string) (*pgxpool.Config, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		// The parser's error quotes what it was given.
		return nil, errors.New("postgres: the database's URL must look like postgres://user:password@host:5432/database?sslmode=verify-full, with % and the like in a password written as %25")
	}
	config, err := pgxpool.ParseConfig(text)
	if err != nil {
		return nil, fmt.Errorf("postgres: the database's URL: %s", reason(u, err))
	}
	for name, value := range parameters {
		if _, ok := config.ConnConfig.RuntimeParams[name]; !ok {
			config.ConnConfig.RuntimeParams[name] = value
		}
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = 10 * time.Second
	}
	config.PingTimeout = 5 * time.Second
	return config, nil
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
