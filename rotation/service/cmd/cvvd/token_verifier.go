package main

import (
	"cmp"
	"log/slog"

	"cvvrotation/rotation/service/auth"
	"cvvrotation/rotation/service/cmd/cvvd/config"
)

// newVerifier returns the verifier of the tokens that the section [auth] describes.
func newVerifier(cfg *config.Config, logger *slog.Logger) (*auth.Verifier, error) {
	secured, err := cfg.JWKSTLS()
	if err != nil {
		return nil, err
	}
	claims, err := cfg.Claims()
	if err != nil {
		return nil, err
	}
	a := &cfg.Auth
	issuer := auth.Issuer{Name: a.Issuer, Audience: a.Audience, ClientIDs: a.ClientIDs, Algorithms: a.Algorithms}
	return auth.New(issuer, cmp.Or(a.JWKSURL, a.JWKSFile), auth.Options{
		Claims: claims, Leeway: a.Leeway.Go(), MaxLifetime: a.MaxLifetime.Go(), TokenType: a.TokenType,
		TLS: secured, Logger: logger,
	})
}
