package main

import (
	"context"
	"errors"
)

// shutdown stops the daemon from the outside in: readiness, drain, the PCI side, the
// engine, the relay, token keys, monitor and watchdog, traces, the operations side, and last
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
	p.monitor.end()
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
