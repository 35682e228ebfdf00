package webhook

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"cvvrotation/rotation/engine/store"
)

// Secret signs events. It is shared with the receiver. Make one with ParseSecret.
// It prints as [redacted].
type Secret struct {
	signer func(id string, at time.Time, payload []byte) (string, error)
}

// ParseSecret parses a secret: whsec_ and the base64 of 24 to 64 random bytes. The
// error quotes nothing of it.
func ParseSecret(text string) (Secret, error) {
	encoded, ok := strings.CutPrefix(text, "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(key) < 24 || len(key) > 64 {
		return Secret{}, errors.New("webhook: a secret must be whsec_ and the base64 of 24 to 64 random bytes")
	}
	w, err := standardwebhooks.NewWebhookRaw(key)
	if err != nil {
		return Secret{}, errors.New("webhook: the secret cannot be used")
	}
	return Secret{w.Sign}, nil
}

// Format writes [redacted], whatever the verb.
func (Secret) Format(s fmt.State, _ rune) { fmt.Fprint(s, "[redacted]") }

// LogValue returns [redacted].
func (Secret) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// MarshalText returns an error: a secret that is written as [redacted] would be
// lost.
func (Secret) MarshalText() ([]byte, error) {
	return nil, errors.New("webhook: a secret cannot be marshalled")
}

// sign adds the event's id, the time and one signature by each secret.
func (s *Sink) sign(h http.Header, e store.Queued, at time.Time) {
	id := strings.ReplaceAll(e.ID(), ".", "/")
	signatures := make([]string, 0, len(s.secrets))
	for _, secret := range s.secrets {
		signature, err := secret.signer(id, at, e.Payload)
		if err == nil { // always: it is an HMAC
			signatures = append(signatures, signature)
		}
	}
	h["Webhook-Id"] = []string{id}
	h["Webhook-Timestamp"] = []string{strconv.FormatInt(at.Unix(), 10)}
	h["Webhook-Signature"] = []string{strings.Join(signatures, " ")}
}
