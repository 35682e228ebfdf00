package api_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/cvvgen"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/seal"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/internal/logtest"
	"cvvrotation/rotation/service/api"
	"cvvrotation/rotation/service/auth"
	"cvvrotation/rotation/service/auth/devtoken"
	"cvvrotation/sim/must"
)

var start = time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)

// handClock is a clock that tests advance. Its timers are real.
type handClock struct {
	clock.Clock
	ns atomic.Int64
}

func newClock() *handClock {
	c := &handClock{Clock: clock.New()}
	c.ns.Store(start.UnixNano())
	return c
}

func (c *handClock) Now() time.Time { return time.Unix(0, c.ns.Load()).UTC() }

func (c *handClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

func (c *handClock) add(d time.Duration) { c.ns.Add(int64(d)) }

// site is the endpoint on an HTTP server.
type site struct {
	t        testing.TB
	url      string
	clock    *handClock
	store    *memory.Store
	engine   *engine.Engine
	dev      *devtoken.Issuer
	client   *http.Client
	log      logtest.Buffer
	audit    logtest.Buffer
	seen     sync.Map                              // Exchange without Took
	statuses func(method, path string, status int) // called for each response; may be nil
	unjudged bool                                  // do not validate against the document, which takes 1 ms
}

// setup varies a site.
type setup struct {
	api    api.Options
	engine engine.Options
	cvvs   engine.Generator  // nil: random ones
	auth   api.Authenticator // nil: the development issuer
	store  store.Store       // nil: in memory
	server func(*http.Server)
	wrap   func(http.Handler) http.Handler
}

func newSite(t testing.TB, o setup) *site {
	t.Helper()
	s := &site{t: t, clock: newClock()}
	s.store = memory.New(memory.Options{Clock: s.clock})
	if o.cvvs == nil {
		o.cvvs = engine.Random(nil, keyring(t))
	}
	if o.store == nil {
		o.store = s.store
	}
	o.engine.Clock = s.clock
	s.engine = must.Get(engine.New(o.store, o.cvvs, o.engine))(t)
	s.dev = devtoken.New(s.clock)
	if o.auth == nil {
		o.auth = s.dev
	}
	o.api.Clock, o.api.Logger = s.clock, s.log.JSON()
	if o.api.Audit == nil {
		o.api.Audit = s.audit.JSON()
	}
	o.api.Observe = func(_ context.Context, x api.Exchange) {
		x.Took = 0
		s.seen.Store(x, true)
	}
	h := must.Get(api.New(s.engine, o.auth, o.api))(t)
	if o.wrap != nil {
		h = o.wrap(h)
	}
	server := httptest.NewUnstartedServer(h)
	server.Config = must.Get(api.Server("", h))(t)
	server.Config.ErrorLog = slog.NewLogLogger(s.log.JSON().Handler(), slog.LevelError)
	if o.server != nil {
		o.server(server.Config)
	}
	server.Start()
	t.Cleanup(server.Close)
	s.url, s.client = server.URL, server.Client()
	s.client.Transport.(*http.Transport).MaxIdleConnsPerHost = 200
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return s
}

func keyring(t testing.TB) *seal.Keyring {
	t.Helper()
	return must.Get(seal.NewKeyring(seal.NewKey(1, bytes.Repeat([]byte{7}, seal.KeySize))))(t)
}

// allScopes are all scopes except accounts:any.
var allScopes = []string{
	api.ScopeRotate, api.ScopeSchedule, api.ScopeRead, api.ScopeHistory, api.ScopeReveal,
	api.ScopeVerify, api.ScopeUnlock, api.ScopeRegister,
}

func (s *site) token(scopes ...string) string {
	return s.dev.Token(auth.Caller{Subject: "svc-1", Account: "acme", Scopes: scopes}, time.Hour)
}

// card registers a card of account acme.
func (s *site) card(id string, interval time.Duration) {
	s.t.Helper()
	reg := engine.RegisterRequest{Schedule: engine.IntervalRequest{Interval: interval}}
	if _, _, err := s.engine.Register(context.Background(), engine.Ref{Card: id, Account: "acme"}, reg); err != nil {
		s.t.Fatal(err)
	}
}

// cvv returns a card's CVV and a wrong one, which has another number of digits: of the
// same number, it could be a previous one by chance.
func (s *site) cvv(id string) (right, wrong string) {
	s.t.Helper()
	r := must.Get(s.engine.Reveal(context.Background(), engine.AnyAccount(id)))(s.t)
	if right = r.CVV.Reveal(); len(right) == 3 {
		return right, "0000"
	}
	return right, "000"
}

// request is a request to send.
type request struct {
	method, path string
	body         string
	token        string // "": one with all scopes; "-": none
	header       []string
}

// reply is a response.
type reply struct {
	status int
	header http.Header
	raw    string
	body   map[string]any
}

func (s *site) do(r request) reply {
	s.t.Helper()
	a := must.Get(s.send(r))(s.t)
	return a
}

func (s *site) send(r request) (reply, error) {
	var body io.Reader
	if r.body != "" {
		body = strings.NewReader(r.body)
	}
	req, err := http.NewRequest(r.method, s.url+r.path, body)
	if err != nil {
		return reply{}, err
	}
	if r.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	switch r.token {
	case "-":
	case "":
		req.Header.Set("Authorization", "Bearer "+s.token(allScopes...))
	default:
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	for i := 0; i < len(r.header); i += 2 {
		req.Header.Del(r.header[i])
		if r.header[i+1] != "" {
			req.Header.Set(r.header[i], r.header[i+1])
		}
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return reply{}, err
	}
	a := reply{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	if len(raw) > 0 && r.method != "HEAD" {
		if err := json.Unmarshal(raw, &a.body); err != nil {
			s.t.Errorf("%s %s: %v in %q", r.method, r.path, err, raw)
		}
	}
	if !s.unjudged {
		s.judge(req, r.body, a)
	}
	return a, nil
}

// want fails the test unless the response has the status and, if given, the problem
// type and the invalid fields.
func (a reply) want(t testing.TB, status int, more ...string) {
	t.Helper()
	if a.status != status {
		t.Errorf("status %d, want %d: %s", a.status, status, a.raw)
		return
	}
	if len(more) > 0 {
		if got := strings.TrimPrefix(a.text("type"), "urn:cvvrotation:problem:"); got != more[0] {
			t.Errorf("problem %q, want %q: %s", got, more[0], a.raw)
		}
	}
	if len(more) > 1 {
		var fields []string
		errors, _ := a.body["errors"].([]any)
		for _, e := range errors {
			m := e.(map[string]any)
			fields = append(fields, m["in"].(string)+" "+m["field"].(string))
		}
		if got := strings.Join(fields, ", "); got != more[1] {
			t.Errorf("fields %q, want %q: %s", got, more[1], a.raw)
		}
	}
}

func (a reply) text(name string) string { s, _ := a.body[name].(string); return s }

func (a reply) number(name string) int { f, _ := a.body[name].(float64); return int(f) }

func derived(t testing.TB) engine.Generator {
	t.Helper()
	pair, _ := hex.DecodeString("0123456789ABCDEFFEDCBA9876543210")
	key := must.Get(cvvgen.NewInsecureTestCVK(pair))(t)
	local := must.Get(cvvgen.NewLocal(key, cvvgen.ExpiryOrderYYMM, 5))(t)
	return engine.Derived(local, keyring(t), engine.DerivedOptions{Prefixes: map[string][]string{"acme": {"4"}}})
}
