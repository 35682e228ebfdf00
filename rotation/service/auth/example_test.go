package auth_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"cvvrotation/rotation/service/auth"
)

func ExampleNew() {
	// An issuer publishes its key set and signs a token.
	public, private, _ := ed25519.GenerateKey(nil)
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k1","x":%q}]}`, base64.RawURLEncoding.EncodeToString(public))
	}))
	defer issuer.Close()
	unsigned := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{
		"iss": "https://id.example", "aud": "cvv", "sub": "wallet", "account_id": "acme",
		"scope": "cvv:read cvv:rotate", "exp": time.Now().Add(time.Minute).Unix(),
	})
	unsigned.Header["kid"] = "k1"
	token, err := unsigned.SignedString(private)
	if err != nil {
		panic(err)
	}

	v, err := auth.New(auth.Issuer{Name: "https://id.example", Audience: "cvv", Algorithms: []string{"EdDSA"}}, issuer.URL, auth.Options{})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go v.Run(ctx) // loads the key set and refreshes it
	for !v.Ready() {
		time.Sleep(time.Millisecond)
	}

	request, _ := http.NewRequest("GET", "/v1/cards/card-7c1e/cvv/rotation", nil)
	request.Header.Set("Authorization", "Bearer "+token)
	caller, err := v.AuthenticateRequest(request)
	fmt.Println(caller.Subject, caller.Account, caller.Scopes, err)
	_, err = v.Authenticate(ctx, token+"A")
	fmt.Println(err)
	// Output:
	// wallet acme [cvv:read cvv:rotate] <nil>
	// auth: the token's signature is invalid
}
