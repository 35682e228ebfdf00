package main

import (
	_ "embed"
	"net"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"cvvrotation/rotation/service/api"
	"cvvrotation/rotation/service/auth"
	"cvvrotation/rotation/service/auth/devtoken"
)

// tokenLifetime is how long a token of development mode is good.
const tokenLifetime = 24 * time.Hour

//go:embed help/development_tour.tmpl
var announcement string

var announceTemplate = template.Must(template.New("announce").Parse(announcement))

// announce prints a token and the lines to try it with. They are for a shell in
// another terminal, all at once or one by one.
func (c *cli) announce(d *daemon, issuer *devtoken.Issuer) error {
	token := issuer.Token(auth.Caller{
		Subject: "developer", Account: "acme",
		Scopes: []string{api.ScopeRegister, api.ScopeRead, api.ScopeSchedule, api.ScopeRotate, api.ScopeReveal, api.ScopeVerify, api.ScopeUnlock},
	}, tokenLifetime)
	url := func(l net.Listener) string { return "http://" + l.Addr().String() }
	var b strings.Builder
	if err := announceTemplate.Execute(&b, map[string]string{
		"Dir": filepath.Dir(d.cfg.Store.Path), "URL": url(d.onPCI), "Ops": url(d.onOps), "Events": d.cfg.Events.File, "Audit": d.cfg.Log.AuditFile, "Token": token,
	}); err != nil {
		return err
	}
	_, err := c.Stdout.Write([]byte(b.String()))
	return err
}
