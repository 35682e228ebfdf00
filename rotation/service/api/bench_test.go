package api_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/golang-jwt/jwt/v5"

	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/api"
	"cvvrotation/rotation/service/auth"
	"cvvrotation/rotation/service/internal/jwttest"
	"cvvrotation/rotation/service/sqlite"
	"cvvrotation/sim/must"
)

const (
	benchCallers = 8
	benchCards   = 64
	benchRound   = 800 // calls of all callers together
)

// BenchmarkForce compares forced calls over loopback HTTP, each with a JWT, with direct
// calls of the engine on the same store, in alternating rounds. Client and server share
// the machine. In "again", callers always send the same token; in "first", each call has
// a new one.
func BenchmarkForce(b *testing.B) {
	for _, kind := range []string{"memory", "sqlite"} {
		for _, tokens := range []string{"RS256/again", "RS256/first", "ES256/first", "EdDSA/first"} {
			b.Run(kind+"/"+tokens, func(b *testing.B) {
				alg, how, _ := strings.Cut(tokens, "/")
				benchForce(b, kind, alg, how == "first")
			})
		}
	}
}

func benchForce(b *testing.B, kind, alg string, first bool) {
	e := benchEngine(b, kind)
	sign, v := benchIssuer(b, alg)
	h := must.Get(api.New(e, v, api.Options{
		Logger:  slog.New(slog.NewJSONHandler(io.Discard, nil)),
		PerCard: api.Rate{PerSecond: 1e6, Burst: 1e6}, PerCaller: api.Rate{PerSecond: 1e6, Burst: 1e6},
	}))(b)
	server := httptest.NewUnstartedServer(h)
	server.Config = must.Get(api.Server("", h))(b)
	server.Start()
	b.Cleanup(server.Close)
	// One connection per caller, without http.Transport, which would use as much CPU
	// as the endpoint.
	type connection struct {
		net.Conn
		answers *bufio.Reader
	}
	var callers [benchCallers]connection
	for i := range callers {
		c := must.Get(net.Dial("tcp", server.Listener.Addr().String()))(b)
		b.Cleanup(func() { c.Close() })
		callers[i] = connection{c, bufio.NewReader(c)}
	}

	var tokens []string
	direct := func(i int) error {
		_, err := e.Force(b.Context(), engine.Ref{Card: fmt.Sprint("card-", i%benchCards), Account: "acme"}, engine.ForceRequest{})
		return err
	}
	overHTTP := func(i int) error {
		c := callers[i%benchCallers]
		if _, err := fmt.Fprintf(c, "POST /v1/cards/card-%d/cvv/rotate HTTP/1.1\r\nHost: cvvd\r\nAuthorization: Bearer %s\r\nContent-Length: 0\r\n\r\n",
			i%benchCards, tokens[i%len(tokens)]); err != nil {
			return err
		}
		resp, err := http.ReadResponse(c.answers, nil)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode != 200 {
			err = fmt.Errorf("%d: %s", resp.StatusCode, body)
		}
		return err
	}
	var engineTimes, httpTimes []time.Duration
	var engineTook, httpTook time.Duration
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		if tokens == nil || first {
			tokens = tokens[:0]
			for i := range benchRound {
				tokens = append(tokens, sign(n*benchRound+i))
				if !first {
					break
				}
			}
		}
		b.StartTimer()
		engineTook += round(b, direct, &engineTimes)
		httpTook += round(b, overHTTP, &httpTimes)
	}
	calls := float64(len(httpTimes))
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(calls/engineTook.Seconds(), "engine/s")
	b.ReportMetric(calls/httpTook.Seconds(), "http/s")
	b.ReportMetric(engineTook.Seconds()/httpTook.Seconds(), "ratio")
	b.ReportMetric(p99(engineTimes), "engine-p99-ms")
	b.ReportMetric(p99(httpTimes), "http-p99-ms")
}

// round calls from all callers concurrently and returns the duration.
func round(b *testing.B, call func(int) error, times *[]time.Duration) time.Duration {
	took := make([]time.Duration, benchRound)
	var wg sync.WaitGroup
	begun := time.Now()
	for c := range benchCallers {
		wg.Go(func() {
			for i := c; i < benchRound; i += benchCallers {
				at := time.Now()
				if err := call(i); err != nil {
					b.Error(err)
				}
				took[i] = time.Since(at)
			}
		})
	}
	wg.Wait()
	*times = append(*times, took...)
	return time.Since(begun)
}

func p99(times []time.Duration) float64 {
	slices.Sort(times)
	return float64(times[len(times)*99/100]) / float64(time.Millisecond)
}

func benchEngine(b *testing.B, kind string) *engine.Engine {
	b.Helper()
	var st store.Store = memory.New(memory.Options{})
	if kind == "sqlite" {
		dir := must.Get(os.MkdirTemp("", "cvv"))(b)
		b.Cleanup(func() { os.RemoveAll(dir) })
		st = must.Get(sqlite.Open(b.Context(), filepath.Join(dir, "cards.db"), sqlite.Options{}))(b)
	}
	b.Cleanup(func() { st.Close() })
	e := must.Get(engine.New(st, engine.Random(nil, keyring(b)), engine.Options{}))(b)
	for i := range benchCards {
		reg := engine.RegisterRequest{Schedule: engine.IntervalRequest{Interval: 24 * time.Hour, Spread: true}}
		if _, _, err := e.Register(b.Context(), engine.Ref{Card: fmt.Sprint("card-", i), Account: "acme"}, reg); err != nil {
			b.Fatal(err)
		}
	}
	return e
}

// benchIssuer returns a verifier and a function that signs distinct tokens for it.
func benchIssuer(b *testing.B, alg string) (sign func(n int) string, v *auth.Verifier) {
	b.Helper()
	key := jwttest.New(b, "k", alg)
	file := filepath.Join(b.TempDir(), "jwks.json")
	must.Do(b, os.WriteFile(file, jwttest.JWKS(key.JWK()), 0o600))
	v = verifier(b, file, alg, auth.Options{Clock: clock.New()})
	for !v.Ready() {
		time.Sleep(time.Millisecond)
	}
	return func(n int) string {
		return key.Sign(b, claims(jwt.MapClaims{"jti": n, "exp": time.Now().Add(time.Hour).Unix(), "scope": "cvv:rotate"}))
	}, v
}
