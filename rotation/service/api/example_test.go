package api_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/service/api"
	"cvvrotation/rotation/service/auth"
	"cvvrotation/rotation/service/auth/devtoken"
)

// A service with its own routes mounts the endpoint under a prefix.
func ExampleNew() {
	keys, err := seal.NewKeyring(seal.NewKey(1, bytes.Repeat([]byte{1}, seal.KeySize)))
	if err != nil {
		panic(err)
	}
	e, err := engine.New(memory.New(memory.Options{}), engine.Random(nil, keys), engine.Options{}) // use a durable store in production
	if err != nil {
		panic(err)
	}
	issuer := devtoken.New(nil) // use auth.New in production
	endpoint, err := api.New(e, issuer, api.Options{
		PerCard: api.Rate{PerSecond: 5, Burst: 100},
	})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/issuing/", http.StripPrefix("/issuing", endpoint))
	server := httptest.NewServer(mux) // use api.Server(":8443", mux) in production
	defer server.Close()

	token := issuer.Token(auth.Caller{
		Subject: "wallet", Account: "acme", Scopes: []string{api.ScopeRegister, api.ScopeRotate},
	}, time.Hour)
	send := func(method, path string) (int, string) {
		req, err := http.NewRequest(method, server.URL+"/issuing"+path, nil)
		if err != nil {
			panic(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			panic(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			panic(err)
		}
		return resp.StatusCode, string(body)
	}
	status, _ := send("PUT", "/v1/cards/card-7c1e")
	fmt.Println("registered:", status)
	status, _ = send("POST", "/v1/cards/card-7c1e/cvv/rotate")
	fmt.Println("rotated:", status)
	status, _ = send("GET", "/v1/cards/card-7c1e/cvv")
	fmt.Println("revealed without its scope:", status)
	// Output:
	// registered: 201
	// rotated: 200
	// revealed without its scope: 403
}
