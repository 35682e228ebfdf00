package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/benbjohnson/clock"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"cvvrotation/cmd/command"
	"cvvrotation/rotation/engine"
	"cvvrotation/rotation/engine/outbox"
	"cvvrotation/rotation/engine/store"
	"cvvrotation/rotation/service/auth"
	"cvvrotation/rotation/service/cmd/cvvd/config"
)

// daemon holds all components: build creates them, run starts and shuts them down.
type daemon struct {
	cfg        *config.Config
	log        *slog.Logger
	audit      *auditLog
	supervisor supervisor
	store      store.Store
	engine     *engine.Engine
	sink       outbox.Sink              // nil: none
	relay      *outbox.Relay            // nil without a sink
	traces     *sdktrace.TracerProvider // nil: none
	verifier   *auth.Verifier           // nil in development mode
	cert       *certificate             // nil: no TLS
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
	p.watchdog = p.start(func(ctx context.Context) error {
		// The result is ignored: a restart does not repair a database.
		d.supervisor.watch(ctx, func(ctx context.Context) { d.alive(ctx) })
		return nil
	})
	p.start(func(context.Context) error { return served(d.ops.Serve(d.onOps)) })
	p.start(func(context.Context) error {
		if d.cert != nil {
			return served(d.pci.ServeTLS(d.onPCI, "", ""))
		}
		return served(d.pci.Serve(d.onPCI))
	})
	d.log.Info("serving", "version", command.Version(), "pci", d.onPCI.Addr().String(), "ops", d.onOps.Addr().String(),
		"tls", d.cert != nil, "store", d.cfg.Store.Kind, "sink", d.cfg.Events.Sink)
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

	engine, relay, keys, watchdog part

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

// shutdown stops the daemon from the outside in: readiness, drain, the PCI side, the
// engine, the relay, token keys and watchdog, traces, the operations side, and last
// what build has opened, such as the store. It gives up when patient ends or after
// listen.shutdown.
func (d *daemon) shutdown(patient context.Context, p *parts) error {
	d.stopping.Store(true)
	d.supervisor.notify("STOPPING=1")
	ctx, cancel := context.WithTimeoutCause(patient, d.cfg.Listen.Shutdown.Go(), errors.New("graceful shutdown timed out; unfinished requests were cut off"))
	defer cancel()
	wait := func(done <-chan struct{}) {
		select {
		case <-done:
		case <-ctx.Done():
		}
	}
	if drain := d.cfg.Listen.Drain.Go(); drain > 0 {
		drained, cancelDrain := context.WithTimeout(ctx, drain)
		wait(drained.Done())
		cancelDrain()
	}
	d.pci.Shutdown(ctx)
	p.engine.end()
	wait(p.engine.done)
	p.relay.end()
	wait(p.relay.done)
	p.keys.end()
	p.watchdog.end()
	if d.traces != nil {
		d.traces.Shutdown(ctx)
	}
	d.ops.Shutdown(ctx)
	closed := make(chan struct{})
	var closeErr error
	go func() {
		defer close(closed)
		p.all.Wait()
		closeErr = d.close()
	}()
	wait(closed)
	if ctx.Err() != nil {
		return errors.Join(p.failure(), context.Cause(ctx))
	}
	if err := errors.Join(p.failure(), closeErr); err != nil {
		return err
	}
	d.log.Info("shut down; no request was cut off")
	return nil
}

// expireEvents replaces the relay of a daemon without a sink: it deletes undelivered
// events older than engine.keep_events. The first deletion is one sweep interval after
// the start, so that an operator who forgot the sink can react to the warning.
func (d *daemon) expireEvents(ctx context.Context) error {
	keep := d.cfg.Engine.KeepEvents.Go()
	d.log.Warn("no event sink configured: undelivered events are deleted after engine.keep_events", "keep_events", keep)
	ticker := clock.New().Ticker(d.cfg.Engine.Sweep.Go())
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		now, err := d.store.Now(ctx)
		n := 0
		if err == nil {
			n, err = outbox.DeleteUndelivered(ctx, d.store, now.Add(-keep))
		}
		if n > 0 {
			d.log.Warn("deleted undelivered events older than engine.keep_events: no event sink configured", "events", n, "keep_events", keep)
		}
		if err != nil && ctx.Err() == nil {
			d.log.Warn("deleting undelivered events failed; retrying at the next sweep", "error", err)
		}
	}
}
