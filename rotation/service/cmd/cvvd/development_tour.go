package main

import (
	_ "embed"
	"html/template"
	"net"
	"path/filepath"
	"strings"
	"time"

	"cvvrotation/rotation/service/api"
	"cvvrotation/rotation/service/auth"
	"cvvrotation/rotation/service/auth/devtoken"
)

// tokenLifetime is the lifetime of a development mode token.
const tokenLifetime = 24 * time.Hour

//go:embed help/development_tour.tmpl
var tourText string

var tourTemplate = template.Must(template.New("tour").Parse(tourText))

// printTour prints a token and shell commands that try the endpoint with it.
func (c *cli) printTour(d *daemon, issuer *devtoken.Issuer) error {
	token := issuer.Token(auth.Caller{
		Subject: "developer", Account: "acme",
		Scopes: []string{api.ScopeRegister, api.ScopeRead, api.ScopeHistory, api.ScopeSchedule, api.ScopeRotate, api.ScopeReveal, api.ScopeVerify, api.ScopeUnlock},
	}, tokenLifetime)
	url := func(l net.Listener) string { return "http://" + l.Addr().String() }
	var b strings.Builder
	if err := tourTemplate.Execute(&b, map[string]string{
		"Dir": filepath.Dir(d.cfg.Store.Path), "URL": url(d.onPCI), "Ops": url(d.onOps), "Events": d.cfg.Events.File, "Audit": d.cfg.Log.AuditFile, "Token": token,
	}); err != nil {
		return err
	}
	_, err := c.Stdout.Write([]byte(b.String()))
	return err
}
