package powertest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
)

// Mode is what a power cut keeps of unsynced changes.
type Mode int

// The modes. KeepSome and KeepTorn choose at random.
const (
	KeepNothing Mode = iota
	KeepAll          // like a kill
	KeepSome         // any of the changes, each whole
	KeepTorn         // any sectors of any of the changes, or the first ones
	Modes            // number of modes
)

// String returns the mode in lower case.
func (m Mode) String() string {
	return [...]string{"nothing kept", "all kept", "some kept", "torn"}[m]
}

// sector is the number of bytes that a disk writes atomically.
const sector = 512

// Disk is a model of a folder on a disk. Create one with [NewDisk].
type Disk struct {
	names   map[string]*file // as programs see them
	durable map[string]*file // as of the last sync of the folder
	renames []rename         // since then
	output  []byte

	now   int // events played
	files map[int]*file
}

// file is a file, or the folder.
type file struct {
	folder  bool
	mapped  bool // mapped to memory: a trace does not show its changes
	size    int
	durable []byte
	changes []change // not synced
}

// change is a write, or a truncation if data is nil.
type change struct {
	at   int // event in which the call ended
	from int
	data []byte
}

// rename is a change of the file that has a name.
type rename struct {
	at   int
	name string
	file *file // nil: removed
}

// NewDisk returns a disk with these files, all synced.
func NewDisk(image Image) *Disk {
	d := &Disk{names: map[string]*file{}}
	for name, content := range image {
		d.names[name] = &file{size: len(content), durable: slices.Clone(content)}
	}
	d.durable = maps.Clone(d.names)
	return d
}

// Output returns what the programs have written to standard output, which a power cut
// does not undo.
func (d *Disk) Output() string { return string(d.output) }

// Play applies a run to the disk. It calls at, unless nil, after each moment, numbered
// from 0. If at returns false, the program is killed there.
func (d *Disk) Play(r *Run, at func(moment int) bool) error {
	d.files = map[int]*file{} // by descriptor
	syncs := map[*call]int{}  // when they began
	for i, e := range r.events {
		d.now++
		switch {
		case e.begins && e.isSync():
			syncs[e.call] = d.now
		case e.begins && e.isOutput():
			text, err := e.text(1)
			if err != nil {
				return err
			}
			d.output = append(d.output, text...)
		case !e.begins && e.result >= 0:
			if err := d.do(e.call, r.dir, syncs[e.call]); err != nil {
				return err
			}
		}
		if at != nil && !at(i) {
			break
		}
	}
	return nil
}

// do applies a call that has ended. began is the event in which a sync began.
func (d *Disk) do(c *call, dir string, began int) error {
	switch c.name {
	case "open":
		return d.open(c, 0, dir)
	case "openat":
		return d.open(c, 1, dir)
	case "unlink", "unlinkat":
		path := 0
		if c.name == "unlinkat" {
			path = 1
		}
		name, err := inFolder(c, path, dir)
		if err == nil && name != "" && name != "." {
			delete(d.names, name)
			d.renames = append(d.renames, rename{d.now, name, nil})
		}
		return err
	case "mmap", "mmap2":
		if strings.Contains(c.arg(2), "PROT_WRITE") && strings.Contains(c.arg(3), "MAP_SHARED") {
			if fd, err := c.number(4); err == nil && d.files[fd] != nil {
				d.files[fd].mapped = true
			}
		}
		return nil
	}
	fd, err := c.number(0)
	f := d.files[fd]
	if err != nil || f == nil {
		return err
	}
	switch c.name {
	case "close":
		delete(d.files, fd)
	case "fsync", "fdatasync":
		d.sync(f, began)
	case "ftruncate":
		size, err := c.number(1)
		if err != nil {
			return err
		}
		f.size = size
		f.changes = append(f.changes, change{d.now, size, nil})
	case "write", "pwrite64":
		data, err := c.text(1)
		from := f.size // of a write: files are opened to append
		if err == nil && c.name == "pwrite64" {
			from, err = c.number(3)
		}
		if err != nil {
			return err
		}
		data = data[:c.result]
		f.size = max(f.size, from+len(data))
		f.changes = append(f.changes, change{d.now, from, data})
	}
	return nil
}

func (d *Disk) open(c *call, path int, dir string) error {
	name, err := inFolder(c, path, dir)
	switch {
	case err != nil || name == "":
		return err
	case name == ".":
		d.files[int(c.result)] = &file{folder: true}
		return nil
	}
	f := d.names[name]
	if f == nil {
		f = &file{}
		d.names[name] = f
		d.renames = append(d.renames, rename{d.now, name, f})
	}
	d.files[int(c.result)] = f
	return nil
}

// inFolder returns the name of the file in the folder to which an argument is a path,
// "." for the folder itself, and "" for other files.
func inFolder(c *call, arg int, dir string) (string, error) {
	path, err := c.text(arg)
	if err != nil {
		return "", err
	}
	name, err := filepath.Rel(dir, string(path))
	if err != nil || strings.HasPrefix(name, "..") { // a relative path, or elsewhere
		return "", nil
	}
	if strings.Contains(name, string(filepath.Separator)) {
		return "", fmt.Errorf("%s: %s is in a subfolder", c.name, name)
	}
	return name, nil
}

// sync makes durable what was done before the sync began.
func (d *Disk) sync(f *file, began int) {
	if f.folder {
		n := 0
		for n < len(d.renames) && d.renames[n].at < began {
			d.renames[n].to(d.durable)
			n++
		}
		d.renames = d.renames[n:]
		return
	}
	n := 0
	for n < len(f.changes) && f.changes[n].at < began {
		f.durable = f.changes[n].to(f.durable)
		n++
	}
	f.changes = f.changes[n:]
}

func (r rename) to(names map[string]*file) {
	if r.file == nil {
		delete(names, r.name)
	} else {
		names[r.name] = r.file
	}
}

// to returns the content of a file after the change.
func (c change) to(content []byte) []byte {
	end := c.from + len(c.data)
	if c.data == nil {
		content = content[:min(len(content), end)]
	}
	if n := end - len(content); n > 0 {
		content = append(content, make([]byte, n)...)
	}
	copy(content[c.from:], c.data)
	return content
}

// Cut returns the files that are left if the power is cut now. random is for KeepSome
// and KeepTorn, and for the content of files that are mapped to memory, which is zeros
// if random is nil.
func (d *Disk) Cut(mode Mode, random *rand.Rand) Image {
	kept := func() bool { return mode == KeepAll || mode >= KeepSome && random.IntN(2) == 0 }
	names := maps.Clone(d.durable)
	for _, r := range d.renames {
		if kept() {
			r.to(names)
		}
	}
	image := Image{}
	for _, name := range slices.Sorted(maps.Keys(names)) { // sorted, so that a seed reproduces the result
		f := names[name]
		content := slices.Clone(f.durable)
		for _, c := range f.changes {
			switch {
			case mode == KeepTorn && c.data != nil:
				for _, part := range c.torn(random) {
					content = part.to(content)
				}
			case kept():
				content = c.to(content)
			}
		}
		if f.mapped {
			content = make([]byte, f.size)
			for i := range content {
				if random != nil {
					content[i] = byte(random.Uint32())
				}
			}
		}
		image[name] = content
	}
	return image
}

// torn returns the parts that are left of a torn write: nothing, all, the sectors up to
// one, or any sectors.
func (c change) torn(random *rand.Rand) (kept []change) {
	draw := random.IntN(4)
	length := random.IntN(len(c.data) + 1)
	for from := 0; from < len(c.data); {
		to := min(from+sector-(c.from+from)%sector, len(c.data))
		if draw == 1 || draw == 2 && from < length || draw == 3 && random.IntN(2) == 0 {
			kept = append(kept, change{c.at, c.from + from, c.data[from:to]})
		}
		from = to
	}
	return kept
}
