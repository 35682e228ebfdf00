// Package filemode checks that not every user of the machine can read or change a
// file on which the security of the service depends. Symbolic links are followed. What
// is on a read-only mount cannot be changed, whatever its mode: the folder of a
// Kubernetes ConfigMap has mode 0777.
package filemode

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

const (
	others      fs.FileMode = 0o007
	othersWrite fs.FileMode = 0o002
)

// Private returns an error if the file is not a regular file, or if all users of the
// machine may read or write it.
func Private(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", file)
	}
	if mode := info.Mode().Perm(); mode&others != 0 {
		return fmt.Errorf("%s is accessible to all users of this machine (%v): run chmod 600 %s", file, mode, file)
	}
	return nil
}

// Secret is Private, and also returns an error if all users of the machine may replace
// the file: see Trusted. It is for keys and passwords, which such a user would choose.
func Secret(file string) error {
	if err := Private(file); err != nil {
		return err
	}
	return notReplaceable(file)
}

// Trusted returns an error if all users of the machine may write the file, or replace
// it because its folder is writable and has no sticky bit. It is for files that say
// whom to trust, such as public keys and authorities.
func Trusted(file string) error {
	if err := NotWritable(file); err != nil {
		return err
	}
	return notReplaceable(file)
}

func notReplaceable(file string) error {
	folders := []string{filepath.Dir(file)}
	if target, err := filepath.EvalSymlinks(file); err == nil { // else a pipe, such as /dev/stdin
		folders = append(folders, filepath.Dir(target))
	}
	for _, folder := range folders {
		info, err := os.Stat(folder)
		if err != nil {
			return err
		}
		if mode := info.Mode(); mode&othersWrite != 0 && mode&fs.ModeSticky == 0 && !readOnly(folder) {
			return fmt.Errorf("%s is in a folder that all users of this machine may write, and so replace the file (%v): run chmod o-w %s", file, mode, folder)
		}
	}
	return nil
}

// NotWritable returns an error if all users of the machine may write the file or
// folder. A device, such as /dev/null, keeps nothing that is written.
func NotWritable(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if mode := info.Mode(); mode&othersWrite != 0 && mode&fs.ModeDevice == 0 && !readOnly(path) {
		return fmt.Errorf("%s is writable by all users of this machine (%v): run chmod o-w %s", path, mode, path)
	}
	return nil
}

// readOnly reports whether a path that all users may write by its mode is on a read-only
// mount.
func readOnly(path string) bool {
	const write = 2 // W_OK
	return errors.Is(syscall.Access(path, write), syscall.EROFS)
}
