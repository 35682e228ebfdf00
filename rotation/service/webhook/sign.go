package webhook

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// secretPrefix begins a secret in its usual form.
const secretPrefix = "whsec_"

// Secret signs events. It is shared with the receiver. Make one with ParseSecret;
// the zero Secret is none. It prints as [redacted].
type Secret struct {
	signer func(id string, at time.Time, payload []byte) (string, error)
}

// ParseSecret reads a secret: whsec_ and the base64 of 24 to 64 random bytes. The
// error quotes nothing of it.
func ParseSecret(text string) (Secret, error) {
	encoded, ok := strings.CutPrefix(text, secretPrefix)
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(key) < 24 || len(key) > 64 {
		return Secret{}, errors.New("webhook: a secret must be whsec_ and the base64 of 24 to 64 random bytes")
	}
	w, err := standardwebhooks.NewWebhookRaw(key)
	if err != nil {
		return Secret{}, errors.New("webhook: a secret that cannot be used")
	}
	return Secret{w.Sign}, nil
}

// Format writes [redacted], whatever the verb.
func (Secret) Format(s fmt.State, _ rune) { fmt.Fprint(s, "[redacted]") }

// LogValue returns [redacted].
func (Secret) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// MarshalText is an error: a secret that was written as something else would be
// lost.
func (Secret) MarshalText() ([]byte, error) {
	return nil, errors.New("webhook: a secret is not to be written")
}

// sign returns a signature by each secret, as the header has them.
func (s *Sink) sign(id string, at time.Time, payload []byte) string {
	signatures := make([]string, 0, len(s.o.Secrets))
	for _, secret := range s.o.Secrets {
		signature, err := secret.signer(id, at, payload)
		if err == nil { // never otherwise: it is an HMAC
			signatures = append(signatures, signature)
		}
	}
	return strings.Join(signatures, " ")
}
