package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"cvvrotation/rotation/service/internal/filemode"
	"cvvrotation/rotation/service/internal/loopback"
)

const maxKeySet = 1 << 20 // bytes

// loader returns a function that loads a key set from a URL or a file.
func loader(from string, o Options) (func(context.Context) ([]byte, error), error) {
	if from == "" {
		return nil, fmt.Errorf("%w: jwks is required: an https URL or the path of a file", ErrConfig)
	}
	if !strings.Contains(from, "://") {
		return func(context.Context) ([]byte, error) { return readFile(from) }, nil
	}
	u, err := url.Parse(from)
	switch {
	case err != nil: // its text quotes the URL
		return nil, fmt.Errorf("%w: jwks is neither a URL nor the path of a file", ErrConfig)
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback.IsHost(u.Hostname())):
		return nil, fmt.Errorf("%w: jwks must be an https URL: an attacker who can change the key set can forge tokens", ErrConfig)
	case u.Host == "":
		return nil, fmt.Errorf("%w: jwks has no host", ErrConfig)
	}
	client := clientOf(o)
	return func(ctx context.Context) ([]byte, error) { return get(ctx, client, from) }, nil
}

// clientOf returns a client that follows no redirects, so that the key set comes from
// the configured host alone.
func clientOf(o Options) *http.Client {
	client := http.Client{Timeout: 5 * time.Second}
	switch {
	case o.Client != nil:
		client = *o.Client
	case o.TLS != nil:
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.TLSClientConfig = o.TLS
		client.Transport = transport
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}

// readFile reads a key set from a file that not everybody may change.
func readFile(path string) ([]byte, error) {
	if err := filemode.Trusted(path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f)
}

func get(ctx context.Context, client *http.Client, from string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, errors.New("the key set's URL is invalid") // err quotes the URL
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := client.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // without the URL, which may hold a password
		}
		return nil, fmt.Errorf("requesting the key set: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("requesting the key set: status %d, want 200", resp.StatusCode)
	}
	return readAll(resp.Body)
}

func readAll(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxKeySet+1))
	if err != nil {
		return nil, fmt.Errorf("reading the key set: %w", err)
	}
	if len(b) > maxKeySet {
		return nil, fmt.Errorf("the key set is longer than %d bytes", maxKeySet)
	}
	return b, nil
}
