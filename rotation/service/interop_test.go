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
)

// TestInterop_GeneratedClientAndSDKs: a client that oapi-codegen generates from
// openapi.json compiles, has no member without a type, and works; the SDKs of
// Standard Webhooks and CloudEvents accept what the webhook sends.
func TestInterop_GeneratedClientAndSDKs(t *testing.T) {
	if os.Getenv("CI") == "" {
		t.Skip("downloads oapi-codegen and two SDKs: set CI=1 to run it")
	}
	keys, err := seal.NewKeyring(seal.NewKey(1, bytes.Repeat([]byte{1}, seal.KeySize)))
	if err != nil {
		t.Fatal(err)
	}
	store := memory.New(memory.Options{})
	e, err := engine.New(store, engine.Random(nil, keys), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	issuer := devtoken.New(nil)
	endpoint, err := api.New(e, issuer, api.Options{})
	if err != nil {
		t.Fatal(err)
	}
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
		content, err := os.ReadFile(filepath.Join("testdata/interop", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "openapi.json"), api.OpenAPI(), 0o600); err != nil {
		t.Fatal(err)
	}
	run("go", "mod", "init", "interop")
	if err := os.Mkdir(filepath.Join(dir, "client"), 0o700); err != nil {
		t.Fatal(err)
	}
	run("go", "run", "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2", "-config", "client.yaml", "openapi.json")
	client, err := os.ReadFile(filepath.Join(dir, "client/client.go"))
	if err != nil {
		t.Fatal(err)
	}
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
	if _, err := e.Force(t.Context(), engine.Ref{Card: "card-42", Account: "acme"}, engine.ForceRequest{}); err != nil {
		t.Fatal(err)
	}
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
	secret, err := webhook.ParseSecret(shared)
	if err != nil {
		t.Fatal(err)
	}
	sink, err := webhook.New(receiver.URL, []webhook.Secret{secret}, webhook.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	relay, err := outbox.New(store, sink, outbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- relay.Run(ctx) }()
	request := <-requests
	cancel()
	<-ended
	file := filepath.Join(dir, "request")
	if err := os.WriteFile(file, request, 0o600); err != nil {
		t.Fatal(err)
	}

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
