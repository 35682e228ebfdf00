//go:build !linux

package postgres

import "syscall"

// setUserTimeout does nothing: other systems have no such option, or another one.
func setUserTimeout(string, string, syscall.RawConn) error { return nil }
