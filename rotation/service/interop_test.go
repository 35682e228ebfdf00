package service_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/service/api"
	"cvvrotation/rotation/service/auth"
	"cvvrotation/rotation/service/auth/devtoken"
	"cvvrotation/rotation/service/webhook"
	"cvvrotation/sim/must"
)

// TestInterop_GeneratedClientAndSDKs: a client that oapi-codegen generates from
// openapi.json compiles, has no member without a type, and works; the SDKs of
// Standard Webhooks and CloudEvents accept what the webhook sends.
func TestInterop_GeneratedClientAndSDKs(t *testing.T) {
	if os.Getenv("CI") == "" {
		t.Skip("downloads oapi-codegen and two SDKs: set CI=1 to run it")
	}
	keys := must.Get(seal.NewKeyring(seal.NewKey(1, bytes.Repeat([]byte{1}, seal.KeySize))))(t)
	store := memory.New(memory.Options{})
	e := must.Get(engine.New(store, engine.Random(nil, keys), engine.Options{}))(t)
	issuer := devtoken.New(nil)
	endpoint := must.Get(api.New(e, issuer, api.Options{}))(t)
	server := httptest.NewServer(endpoint)
	defer server.Close()
	token := issuer.Token(auth.Caller{
		Subject: "wallet", Account: "acme", Scopes: []string{api.ScopeRegister, api.ScopeRotate, api.ScopeReveal},
	}, time.Hour)

	dir := t.TempDir()
	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", name, args[0], err, out)
		}
		return string(out)
	}
	for _, name := range []string{"main.go", "client.yaml"} {
		content := must.Get(os.ReadFile(filepath.Join("testdata/interop", name)))(t)
		must.Do(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	must.Do(t, os.WriteFile(filepath.Join(dir, "openapi.json"), api.OpenAPI(), 0o600))
	run("go", "mod", "init", "interop")
	must.Do(t, os.Mkdir(filepath.Join(dir, "client"), 0o700))
	run("go", "run", "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2", "-config", "client.yaml", "openapi.json")
	client := must.Get(os.ReadFile(filepath.Join(dir, "client/client.go")))(t)
	for line := range bytes.Lines(client) {
		if bytes.Contains(line, []byte("interface{}")) && bytes.Contains(line, []byte("`json:")) || bytes.HasPrefix(line, []byte("type ")) && bytes.Contains(line, []byte("interface{}")) {
			t.Errorf("the generated client has a member without a type: %s", line)
		}
	}
	run("go", "get", "github.com/cloudevents/sdk-go/v2@v2.16.2", "github.com/standard-webhooks/standard-webhooks/libraries@v0.0.1")
	run("go", "mod", "tidy")
	run("go", "build", "-o", "interop.test", ".")

	if _, _, err := e.Register(t.Context(), engine.Ref{Card: "card-42", Account: "acme"}, engine.RegisterRequest{}); err != nil {
		t.Fatal(err)
	}
	must.Get(e.Force(t.Context(), engine.Ref{Card: "card-42", Account: "acme"}, engine.ForceRequest{}))(t)
	const shared = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	requests := make(chan []byte, 8)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		dump, err := httputil.DumpRequest(r, true)
		if err != nil {
			t.Error(err)
		}
		requests <- dump
	}))
	defer receiver.Close()
	secret := must.Get(webhook.ParseSecret(shared))(t)
	sink := must.Get(webhook.New(receiver.URL, []webhook.Secret{secret}, webhook.Options{}))(t)
	defer sink.Close()
	relay := must.Get(outbox.New(store, sink, outbox.Options{}))(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- relay.Run(ctx) }()
	request := <-requests
	cancel()
	<-ended
	file := filepath.Join(dir, "request")
	must.Do(t, os.WriteFile(file, request, 0o600))

	got := run("./interop.test", server.URL, token, file, shared)
	want := `registered, interval 24
rotated, version 2 reason guard next true
problem urn:cvvrotation:problem:no-such-card
event card-42.1 card.cvv.changed.v1 card-42 card-42 1 ROTATE_CVV
`
	if got != want {
		t.Errorf("the program printed\n%s, want\n%s", got, want)
	}
}
