// Command interop is a program of another author: it calls the endpoint through a client
// that oapi-codegen generated, and reads an event from a webhook request with the
// SDKs of Standard Webhooks and CloudEvents.
package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"interop/client"
)

func main() {
	log.SetFlags(0)
	url, token, request, secret := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	if err := call(url, token); err != nil {
		log.Fatal("client: ", err)
	}
	if err := receive(request, secret); err != nil {
		log.Fatal("webhook: ", err)
	}
}

func call(url, token string) error {
	authorize := client.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+token)
		return nil
	})
	c, err := client.NewClientWithResponses(url, authorize)
	if err != nil {
		return err
	}
	ctx := context.Background()
	hours := int32(24)
	registered, err := c.RegisterCardWithResponse(ctx, "card-7c1e", client.Registration{CvvRotationIntervalHours: &hours})
	if err != nil {
		return err
	}
	if registered.JSON201 == nil {
		return fmt.Errorf("register: %s", registered.Status())
	}
	fmt.Println("registered, interval", *registered.JSON201.CvvRotationIntervalHours)
	key := "8e03978e-40d5-43dd-bc93-6894a57f9324"
	rotated, err := c.RotateCvvWithResponse(ctx, "card-7c1e", &client.RotateCvvParams{IdempotencyKey: &key}, client.Rotate{})
	if err != nil {
		return err
	}
	r := rotated.JSON200
	if r == nil {
		return fmt.Errorf("rotate: %s", rotated.Status())
	}
	fmt.Println("rotated, version", r.CvvVersion, "reason", r.Reason, "next", r.CvvNextRotationDate.Sub(r.CvvRotatedAt) > 0)
	missing, err := c.RevealCvvWithResponse(ctx, "no-such-card")
	if err != nil {
		return err
	}
	if missing.ApplicationproblemJSON404 == nil {
		return fmt.Errorf("reveal of an unknown card: %s", missing.Status())
	}
	fmt.Println("problem", missing.ApplicationproblemJSON404.Type)
	return nil
}

func receive(file, secret string) error {
	dump, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(dump)))
	if err != nil {
		return err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return err
	}
	if err := verifier.Verify(body, r.Header); err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	e, err := cloudevents.NewEventFromHTTPRequest(r)
	if err != nil {
		return err
	}
	if err := e.Validate(); err != nil {
		return err
	}
	var data struct {
		Number    int64  `json:"event_number"`
		Operation string `json:"operation_type"`
	}
	if err := e.DataAs(&data); err != nil {
		return err
	}
	fmt.Println("event", e.ID(), e.Type(), e.Subject(), e.Extensions()["partitionkey"], data.Number, data.Operation)
	return nil
}
