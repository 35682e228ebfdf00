package jetstream_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"cvvrotation/rotation/engine/memory"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/internal/logtest"
	"cvvrotation/rotation/service/jetstream"
	"cvvrotation/sim/must"
)

// authority issues certificates.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key := must.Get(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der := must.Get(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))(t)
	cert := must.Get(x509.ParseCertificate(der))(t)
	return &authority{t, cert, key}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// issue returns a certificate of 127.0.0.1, for servers and clients, that is good
// until then.
func (a *authority) issue(until time.Time) tls.Certificate {
	a.t.Helper()
	key := must.Get(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(a.t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "party"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der := must.Get(x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key))(a.t)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (a *authority) good() tls.Certificate    { return a.issue(time.Now().Add(24 * time.Hour)) }
func (a *authority) expired() tls.Certificate { return a.issue(time.Now().Add(-time.Hour)) }

// secured makes a server speak TLS with the certificate, and ask for a client's.
func secured(a *authority, cert tls.Certificate, clients bool) func(*server.Options) {
	return func(o *server.Options) {
		o.TLS, o.TLSTimeout = true, 10
		o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: a.pool()}
		if o.TLSVerify = clients; clients {
			o.TLSConfig.ClientAuth = tls.RequireAndVerifyClientCert
		}
	}
}

// operator is NATS's way of credentials: it signs accounts, they sign users.
type operator struct {
	t                 testing.TB
	key, account      nkeys.KeyPair
	resolver          *server.MemAccResolver
	system, accountID string
}

func newOperator(t testing.TB) *operator {
	o := &operator{t: t, resolver: &server.MemAccResolver{}}
	o.key, _ = nkeys.CreateOperator()
	o.account, o.accountID = o.enrol("cards")
	_, o.system = o.enrol("system")
	return o
}

// enrol makes an account.
func (o *operator) enrol(name string) (nkeys.KeyPair, string) {
	o.t.Helper()
	key := must.Get(nkeys.CreateAccount())(o.t)
	id, _ := key.PublicKey()
	claims := jwt.NewAccountClaims(id)
	claims.Name = name
	if name != "system" {
		claims.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}
	}
	token := must.Get(claims.Encode(o.key))(o.t)
	must.Do(o.t, o.resolver.Store(id, token))
	return key, id
}

// configure makes a server trust the operator.
func (o *operator) configure(s *server.Options) {
	id, _ := o.key.PublicKey()
	s.TrustedKeys, s.SystemAccount, s.AccountResolver = []string{id}, o.system, o.resolver
}

// user returns a credentials file's text, for a user who may publish there and
// subscribe to its inbox, unless deaf is among the subjects; and its secret.
func (o *operator) user(until time.Time, publish ...string) (text []byte, secret string) {
	o.t.Helper()
	key := must.Get(nkeys.CreateUser())(o.t)
	id, _ := key.PublicKey()
	claims := jwt.NewUserClaims(id)
	claims.Expires = until.Unix()
	claims.Pub.Allow.Add(publish...)
	if !slices.Contains(publish, deaf) {
		claims.Sub.Allow.Add("_INBOX.>")
	} else {
		claims.Sub.Allow.Add("elsewhere")
	}
	token := must.Get(claims.Encode(o.account))(o.t)
	seed, _ := key.Seed()
	text = must.Get(jwt.FormatUserConfig(token, seed))(o.t)
	return text, string(seed)
}

const deaf = "deaf"

// What a sink needs, with Options.Create.
var needed = []string{
	"card.cvv.changed.v1.*", "$JS.API.STREAM.INFO.CARD_CVV", "$JS.API.STREAM.CREATE.CARD_CVV", "$JS.API.STREAM.NAMES",
}

func port(url string) int {
	n, _ := strconv.Atoi(url[strings.LastIndexByte(url, ':')+1:])
	return n
}

// TestDial_RefusedConnectionRecoversWithoutLoss starts a relay while the server
// refuses the client, or the client the server. Errors name the cause and no
// secret. When the cause is gone, everything arrives once and in order.
func TestDial_RefusedConnectionRecoversWithoutLoss(t *testing.T) {
	later, earlier := time.Now().Add(24*time.Hour), time.Now().Add(-time.Hour)
	own, other := newAuthority(t), newAuthority(t)
	trusting := &tls.Config{RootCAs: own.pool()}
	nsc, foreign := newOperator(t), newOperator(t)
	creds := func(o *operator, until time.Time, publish ...string) func(string) string {
		return func(path string) string {
			text, secret := o.user(until, publish...)
			must.Do(t, os.WriteFile(path, text, 0o600))
			return secret
		}
	}
	password := func(o *server.Options) { o.Username, o.Password = "us3r", "pa55word" }
	for _, c := range []struct {
		name           string
		tls            *tls.Config
		user           string // in the URL
		before         func(*server.Options)
		after          func(*server.Options)
		file, replaced func(path string) (secret string) // writes the credentials file
		says           string
	}{
		{name: "unknown authority", tls: trusting, before: secured(own, other.good(), false), after: secured(own, own.good(), false), says: "certificate signed by unknown authority"},
		{name: "system's authorities", before: secured(own, own.good(), false), says: "certificate signed by unknown authority"},
		{name: "expired", tls: trusting, before: secured(own, own.expired(), false), after: secured(own, own.good(), false), says: "certificate has expired"},
		{name: "other host", tls: &tls.Config{RootCAs: own.pool(), ServerName: "nats.example"}, before: secured(own, own.good(), false), says: "wanted to match nats.example"},
		{name: "no TLS", tls: trusting, before: func(*server.Options) {}, after: secured(own, own.good(), false), says: "secure connection not available"},
		{name: "no client certificate", tls: trusting, before: secured(own, own.good(), true), after: secured(own, own.good(), false), says: "certificate required"},
		{name: "expired client certificate", tls: &tls.Config{RootCAs: own.pool(), Certificates: []tls.Certificate{own.expired()}},
			before: secured(own, own.good(), true), after: secured(own, own.good(), false), says: "tls: expired certificate"},
		{name: "unknown client certificate", tls: &tls.Config{RootCAs: own.pool(), Certificates: []tls.Certificate{other.good()}},
			before: secured(own, own.good(), true), after: secured(own, own.good(), false), says: "certificate"},
		{name: "wrong password", user: "us3r:s3cret@", before: password, after: func(o *server.Options) { o.Username, o.Password = "us3r", "s3cret" }, says: "Authorization Violation"},
		{name: "no credentials", before: nsc.configure, after: func(*server.Options) {}, says: "Authorization Violation"},
		{name: "another operator's credentials", before: nsc.configure, file: creds(foreign, later), replaced: creds(nsc, later, needed...), says: "Authorization Violation"},
		{name: "expired credentials", before: nsc.configure, file: creds(nsc, earlier), replaced: creds(nsc, later, needed...), says: "Authorization Violation"},
		{name: "may not publish", before: nsc.configure, file: creds(nsc, later, needed[1:]...), replaced: creds(nsc, later, needed...), says: `Permissions Violation for Publish to "card.cvv.changed.v1.`},
		{name: "may not look at the stream", before: nsc.configure, file: creds(nsc, later, needed[0]), replaced: creds(nsc, later, needed...), says: `Permissions Violation for Publish to "$JS.API.STREAM.INFO.CARD_CVV"`},
		{name: "may not make the stream", before: nsc.configure, file: creds(nsc, later, needed[0], needed[1]), replaced: creds(nsc, later, needed...), says: `Permissions Violation for Publish to "$JS.API.STREAM.CREATE.CARD_CVV"`},
		{name: "may not look for the subject", before: nsc.configure, file: creds(nsc, later, needed[:3]...), replaced: creds(nsc, later, needed...), says: `Permissions Violation for Publish to "$JS.API.STREAM.NAMES"`},
		{name: "may not hear answers", before: nsc.configure, file: creds(nsc, later, append([]string{deaf}, needed...)...), replaced: creds(nsc, later, needed...), says: `Permissions Violation for Subscription to "_INBOX.`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var text logtest.Buffer
			secrets := []string{"us3r", "s3cret", "pa55word"}
			dir := t.TempDir()
			broken := run(t, filepath.Join(dir, "data"), -1, c.before)
			address := strings.Split(broken.ClientURL(), "://")[1]
			url := "nats://" + c.user + address
			s := jetstream.DialOptions{TLS: c.tls, Logger: text.Text()}
			if c.file != nil {
				s.Credentials = filepath.Join(dir, "creds")
				secrets = append(secrets, c.file(s.Credentials))
			}
			conn := must.Get(jetstream.Dial(url, s))(t)
			sink := newSink(t, conn, jetstream.Options{Create: true, Timeout: 500 * time.Millisecond})
			relay := startRelay(t, sink, 40)
			waitFor(t, "failure that says "+c.says, func() bool { return strings.Contains(relay.State().Failure, c.says) })
			fmt.Fprint(&text, relay.State().Failure)

			if c.after == nil && c.replaced == nil {
				relay.stop()
			} else {
				if c.replaced != nil { // the file is replaced while the daemon runs
					secrets = append(secrets, c.replaced(s.Credentials))
					c.after = c.before
				}
				stop(broken)
				repaired := run(t, filepath.Join(dir, "data"), port(address), c.after)
				relay.finish()
				if stats, err := relay.events.Stats(t.Context()); err != nil || stats.Waiting != 0 || stats.Parked != 0 {
					t.Errorf("%+v, %v", stats, err)
				}
				messages := stored(t, repaired.ClientURL(), "CARD_CVV", reader(t, url, s, nsc)...)
				if inOrder(t, ids(messages), 40); len(messages) != 40 {
					t.Errorf("%d messages", len(messages))
				}
			}
			for _, secret := range secrets {
				if strings.Contains(text.String(), secret) {
					t.Errorf("%s is in the output: %s", secret, text.String())
				}
			}
		})
	}
}

// reader returns the options with which a test may read what a sink has stored.
func reader(t *testing.T, url string, s jetstream.DialOptions, o *operator) []nats.Option {
	var options []nats.Option
	if s.TLS != nil {
		options = append(options, nats.Secure(s.TLS))
	}
	if user, _, ok := strings.Cut(strings.TrimPrefix(url, "nats://"), "@"); ok {
		name, password, _ := strings.Cut(user, ":")
		options = append(options, nats.UserInfo(name, password))
	}
	if s.Credentials != "" {
		path := filepath.Join(t.TempDir(), "creds")
		text, _ := o.user(time.Now().Add(time.Hour), ">")
		must.Do(t, os.WriteFile(path, text, 0o600))
		options = append(options, nats.UserCredentials(path))
	}
	return options
}

// running is a relay at work on events of its own.
type running struct {
	*outbox.Relay
	t      testing.TB
	events *memory.Store
	all    chan struct{} // closed when all are delivered
	cancel context.CancelFunc
	done   chan error
}

// startRelay has n events of ten cards delivered to the sink.
func startRelay(t testing.TB, sink outbox.Sink, n int) *running {
	t.Helper()
	r := &running{t: t, events: memory.New(memory.Options{}), all: make(chan struct{}), done: make(chan error, 1)}
	for i := range n {
		must.Do(t, r.events.Update(t.Context(), fmt.Sprintf("card-%d", i%10), "", func(change *store.Change) error {
			change.Card.Version, change.Card.Events, change.Write = 1, change.Card.Events+1, true
			change.Event = &store.Event{Card: change.Card.ID, Number: change.Card.Events, At: change.Now, Payload: []byte("{}")}
			return nil
		}))
	}
	var delivered atomic.Int64
	r.Relay = must.Get(outbox.New(r.events, sink, outbox.Options{
		Batch: 8, Poll: 20 * time.Millisecond, MinBackoff: 10 * time.Millisecond, MaxPause: 50 * time.Millisecond, MaxBackoff: time.Second,
		Observe: func(o outbox.Outcome) {
			if o.Status == store.StatusDelivered && delivered.Add(1) == int64(n) {
				close(r.all)
			}
		},
	}))(t)
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() { r.done <- r.Relay.Run(ctx) }()
	return r
}

// stop stops the relay.
func (r *running) stop() {
	r.t.Helper()
	r.cancel()
	if err := <-r.done; err != nil {
		r.t.Error(err)
	}
}

// finish waits until everything is delivered, and stops the relay.
func (r *running) finish() {
	r.t.Helper()
	select {
	case <-r.all:
	case <-time.After(30 * time.Second):
		r.t.Errorf("not everything arrived: %+v", r.State())
	}
	r.stop()
}

func TestDial_PrivateAuthorityClientCertificateAndCredentials(t *testing.T) {
	own, nsc := newAuthority(t), newOperator(t)
	client := own.good()
	s := run(t, t.TempDir(), -1, func(o *server.Options) {
		secured(own, own.good(), true)(o)
		nsc.configure(o)
	})
	path := filepath.Join(t.TempDir(), "creds")
	text, _ := nsc.user(time.Now().Add(time.Hour), needed...)
	must.Do(t, os.WriteFile(path, text, 0o600))
	for _, scheme := range []string{"nats://", "tls://"} {
		conn := must.Get(jetstream.Dial(scheme+strings.Split(s.ClientURL(), "://")[1], jetstream.DialOptions{
			Credentials: path,
			TLS:         &tls.Config{RootCAs: own.pool(), Certificates: []tls.Certificate{client}},
		}))(t)
		sink := newSink(t, conn, jetstream.Options{Create: true})
		if err := errors.Join(sink.Deliver(t.Context(), []store.Queued{queued("a", 1), queued("a", 2), queued("b", 1)})...); err != nil {
			t.Error(scheme, err)
		}
		if state, err := conn.TLSConnectionState(); err != nil || len(state.VerifiedChains) == 0 {
			t.Error(scheme, "not over TLS:", err)
		}
	}
}

func TestCredentials_OtherFilesAreRefusedAndNotSent(t *testing.T) {
	dir := t.TempDir()
	nsc := newOperator(t)
	text, _ := nsc.user(time.Now().Add(time.Hour), needed...)
	noSeed := text[:strings.Index(string(text), "-----BEGIN USER NKEY SEED")]
	for name, content := range map[string][]byte{"none": nil, "empty": {}, "another secret": []byte("whsec_S3CRET\n"), "no seed": noSeed} {
		path := filepath.Join(dir, name)
		if content != nil {
			must.Do(t, os.WriteFile(path, content, 0o600))
		}
		conn, err := jetstream.Dial("nats://127.0.0.1:1", jetstream.DialOptions{Credentials: path})
		if err == nil {
			conn.Close()
		}
		if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "S3CRET") {
			t.Errorf("%s: %v", name, err)
		}
	}

	path := filepath.Join(dir, "replaced")
	must.Do(t, os.WriteFile(path, text, 0o600))
	data := t.TempDir()
	first := run(t, data, -1, nsc.configure)
	url := first.ClientURL()
	var log logtest.Buffer
	conn := must.Get(jetstream.Dial(url, jetstream.DialOptions{Credentials: path, Logger: log.Text()}))(t)
	sink := newSink(t, conn, jetstream.Options{Create: true})
	waitFor(t, "a connection", conn.IsConnected)
	for _, c := range []struct {
		change func() error
		says   string
	}{
		{func() error { return os.WriteFile(path, []byte("whsec_S3CRET\n"), 0o600) }, "no line with -----BEGIN NATS USER JWT"},
		{func() error { return os.Remove(path) }, "no such file"},
	} {
		must.Do(t, c.change())
		stop(first)
		first = run(t, data, port(url), nsc.configure)
		waitFor(t, "failure that says "+c.says, func() bool {
			err := sink.Deliver(t.Context(), []store.Queued{queued("a", 1)})[0]
			return err != nil && errors.Is(err, outbox.ErrUnavailable) && strings.Contains(err.Error(), c.says)
		})
	}
	if strings.Contains(log.String(), "S3CRET") {
		t.Errorf("the file's content is in the log: %s", log.String())
	}
	must.Do(t, os.WriteFile(path, text, 0o600))
	waitFor(t, "delivery with the file back", func() bool { return sink.Deliver(t.Context(), []store.Queued{queued("a", 1)})[0] == nil })
}

func TestCredentials_ExpiryReadsTheReplacedFile(t *testing.T) {
	nsc := newOperator(t)
	s := run(t, t.TempDir(), -1, nsc.configure)
	path := filepath.Join(t.TempDir(), "creds")
	text, _ := nsc.user(time.Now().Add(3*time.Second), needed...)
	must.Do(t, os.WriteFile(path, text, 0o600))
	var log logtest.Buffer
	conn := must.Get(jetstream.Dial(s.ClientURL(), jetstream.DialOptions{Credentials: path, Logger: log.Text()}))(t)
	sink := newSink(t, conn, jetstream.Options{Create: true})
	must.Do(t, sink.Check(t.Context()))
	text, _ = nsc.user(time.Now().Add(time.Hour), needed...)
	must.Do(t, os.WriteFile(path, text, 0o600))
	waitFor(t, "new connection", func() bool { return conn.Stats().Reconnects > 0 && conn.IsConnected() })
	if !strings.Contains(log.String(), "authentication expired") {
		t.Errorf("the log does not say why: %s", log.String())
	}
	waitFor(t, "delivery", func() bool { return sink.Deliver(t.Context(), []store.Queued{queued("a", 1)})[0] == nil })
}
