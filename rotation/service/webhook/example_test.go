package webhook_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/webhook"
)

// A receiver verifies the signature before it reads the event.
func Example() {
	const shared = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		verifier, _ := standardwebhooks.NewWebhook(shared)
		if err != nil || verifier.Verify(body, r.Header) != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Println(r.Header.Get("Webhook-Id"), string(body))
	}))
	defer receiver.Close()

	secret, err := webhook.ParseSecret(shared)
	if err != nil {
		panic(err)
	}
	sink, err := webhook.New(receiver.URL, []webhook.Secret{secret}, webhook.Options{})
	if err != nil {
		panic(err)
	}
	defer sink.Close()
	e := store.Event{Card: "card_7", Number: 12, Payload: []byte(`{"id":"card_7.12"}`)} // by the relay
	fmt.Println(sink.Deliver(context.Background(), []store.Queued{{Event: e}})[0])
	// Output:
	// card_7/12 {"id":"card_7.12"}
	// <nil>
}
