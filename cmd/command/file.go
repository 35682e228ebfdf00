package command

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// File is a file that a command writes. A regular file appears, or replaces the
// previous one, when Commit succeeds.
type File struct {
	*bufio.Writer
	file, temp *os.File // neither for standard output
	target     string   // of temp
}

// of returns the error of a temporary file as that of the file it is for.
func of(name string, err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return &fs.PathError{Op: path.Op, Path: name, Err: path.Err}
	case errors.As(err, &link):
		return &fs.PathError{Op: link.Op, Path: name, Err: link.Err}
	}
	return err
}

// Create opens the named file for writing. "-" is standard output, under any other
// name too. A new file has mode 0666 before umask; an existing file keeps its mode. A
// symbolic link is followed. A device or a FIFO is written in place.
//
// It returns an error for a directory, for a file that may not be written to, and if
// no file can be created next to it. Call Discard when done with the File.
func (p *Program) Create(name string) (*File, error) {
	if name == "-" {
		return &File{Writer: bufio.NewWriter(p.Stdout)}, nil
	}
	perm, exists := fs.FileMode(0o666), false
	switch file, err := os.OpenFile(name, os.O_WRONLY, 0); {
	case err == nil:
		info, err := file.Stat()
		if err == nil && !info.Mode().IsRegular() && !p.isStdout(info) {
			return &File{Writer: bufio.NewWriter(file), file: file}, nil
		}
		if err := errors.Join(err, file.Close()); err != nil {
			return nil, err
		}
		if p.isStdout(info) {
			return p.Create("-")
		}
		perm, exists = info.Mode().Perm(), true
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	target := name
	for range 40 { // as many links as Linux follows
		link, err := os.Readlink(target)
		if err != nil {
			break
		}
		if !filepath.IsAbs(link) {
			dir, _ := filepath.Split(target)
			link = dir + link
		}
		target = link
	}
	dir, base := filepath.Split(target)
	if base == "" {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	temp, err := os.OpenFile(fmt.Sprintf("%s.%s-%016x", dir, p.Name, rand.Uint64()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return nil, of(name, err)
	}
	f := &File{Writer: bufio.NewWriterSize(temp, 64<<10), temp: temp, target: target}
	if exists {
		err = temp.Chmod(perm) // without the umask
	}
	if err != nil {
		f.Discard()
		return nil, of(name, err)
	}
	return f, nil
}

// isStdout reports whether info is that of standard output.
func (p *Program) isStdout(info fs.FileInfo) bool {
	stdout, ok := p.Stdout.(*os.File)
	if !ok {
		return false
	}
	out, err := stdout.Stat()
	return err == nil && os.SameFile(info, out)
}

// Write implements io.Writer.
func (f *File) Write(b []byte) (int, error) {
	n, err := f.Writer.Write(b)
	if f.temp != nil {
		err = of(f.target, err)
	}
	return n, err
}

// Commit completes the file.
func (f *File) Commit() error {
	err := f.Flush()
	switch {
	case f.temp != nil:
		if err = errors.Join(err, f.temp.Sync(), f.temp.Close()); err == nil {
			err = os.Rename(f.temp.Name(), f.target)
		}
		return of(f.target, err)
	case f.file != nil:
		return errors.Join(err, f.file.Close())
	}
	return err
}

// Discard closes the file, and deletes what was written to a regular file unless Commit
// succeeded.
func (f *File) Discard() {
	if f.temp != nil {
		f.temp.Close()
		os.Remove(f.temp.Name())
	}
	if f.file != nil {
		f.file.Close()
	}
}

// WriteFile writes the content to the named file, as Create does.
func (p *Program) WriteFile(name string, content []byte) error {
	f, err := p.Create(name)
	if err != nil {
		return err
	}
	defer f.Discard()
	if _, err := f.Write(content); err != nil {
		return err
	}
	return f.Commit()
}
