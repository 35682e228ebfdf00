package main

// reload handles SIGHUP: it reloads the certificate, the authorities of client
// certificates and the token signing keys, and reopens the audit log and the events
// file.
func (d *daemon) reload() {
	if d.tls != nil {
		d.tls.reload(d.log)
	}
	if d.verifier != nil {
		d.verifier.Reload()
	}
	d.audit.reopen(d.log)
	if file, ok := d.sink.(interface{ Reopen() error }); ok {
		if err := file.Reopen(); err != nil {
			d.log.Error("reopening the events file failed; still writing to the old one", "error", err)
			return
		}
		d.log.Info("events file reopened")
	}
}
