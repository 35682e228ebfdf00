package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/auth"
	"cvvrotation/rotation/service/cmd/cvvd/condition"
	"cvvrotation/rotation/service/cmd/cvvd/config"
)

// daemon holds all components: build creates them, run starts and shuts them down.
type daemon struct {
	cfg        *config.Config
	log        *slog.Logger
	audit      *auditLog
	auditing   *condition.AuditLog // the handler of audit
	supervisor supervisor
	store      store.Store
	writes     condition.Outcomes // of the store
	monitor    *condition.Monitor
	engine     *engine.Engine
	sink       outbox.Sink              // nil: none
	relay      *outbox.Relay            // nil without a sink
	traces     *sdktrace.TracerProvider // nil: none
	verifier   *auth.Verifier           // nil in development mode
	tls        *pciTLS                  // nil: no TLS
	pci, ops   *http.Server
	onPCI      net.Listener
	onOps      net.Listener
	stopping   atomic.Bool
	printTour  func() error // nil except in development mode
	closers    []func() error
}

// run starts all parts, serves until running ends, and then shuts down. If a part
// fails, run calls stop, which ends running.
func (d *daemon) run(running, patient context.Context, stop context.CancelCauseFunc) error {
	p := parts{running: running, stop: stop}
	p.engine = p.start(d.engine.Run)
	p.relay = p.start(func(ctx context.Context) error {
		if d.relay == nil {
			return d.expireEvents(ctx)
		}
		return d.relay.Run(ctx)
	})
	p.keys = p.start(func(ctx context.Context) error {
		if d.verifier == nil {
			return nil
		}
		return d.verifier.Run(ctx)
	})
	p.monitor = p.start(d.monitor.Run)
	p.watchdog = p.start(func(ctx context.Context) error {
		// The result is ignored: a restart does not repair a database.
		d.supervisor.watch(ctx, func(ctx context.Context) { d.alive(ctx) })
		return nil
	})
	p.start(func(context.Context) error { return served(d.ops.Serve(d.onOps)) })
	p.start(func(context.Context) error {
		if d.tls != nil {
			return served(d.pci.ServeTLS(d.onPCI, "", ""))
		}
		return served(d.pci.Serve(d.onPCI))
	})
	d.log.Info("serving", "version", command.Version(), "pci", d.onPCI.Addr().String(), "ops", d.onOps.Addr().String(),
		"tls", d.tls != nil, "store", d.cfg.Store.Kind, "sink", d.cfg.Events.Sink)
	if d.printTour != nil {
		p.start(func(context.Context) error { return d.printTour() })
	}
	d.supervisor.notify("READY=1")
	<-running.Done()
	return d.shutdown(patient, &p)
}

// parts are the goroutines of a daemon.
type parts struct {
	running context.Context
	stop    context.CancelCauseFunc

	engine, relay, keys, monitor, watchdog part

	all    sync.WaitGroup
	mu     sync.Mutex
	failed []error
}

// part is one of the goroutines. It runs until end is called or it fails.
type part struct {
	end  context.CancelFunc
	done chan struct{}
}

// start runs f in a goroutine. If f fails, the daemon stops.
func (p *parts) start(f func(context.Context) error) part {
	ctx, cancel := context.WithCancel(context.WithoutCancel(p.running))
	one := part{cancel, make(chan struct{})}
	p.all.Go(func() {
		defer close(one.done)
		if err := f(ctx); err != nil {
			p.mu.Lock()
			p.failed = append(p.failed, err)
			p.mu.Unlock()
			p.stop(err)
		}
	})
	return one
}

// failure returns the errors of the parts that have failed.
func (p *parts) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(p.failed...)
}

// served returns err, or nil if the server was shut down.
func served(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// retryNow ends the back-off of the engine and of the relay after an outage of the store.
func (d *daemon) retryNow() {
	d.engine.RetryNow()
	if d.relay != nil {
		d.relay.RetryNow()
	}
}
