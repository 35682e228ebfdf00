package powertest

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cvvrotation/sim/must"
)

var (
	quoted = regexp.MustCompile(`"[^"]*"`)
	margin = regexp.MustCompile(`\n\s*`)
)

// trace returns the run of lines of strace, whose strings are in plain text here. The
// folder is /d.
func trace(t *testing.T, lines string) *Run {
	t.Helper()
	lines = quoted.ReplaceAllStringFunc(lines, func(s string) string {
		var b strings.Builder
		for _, c := range []byte(strings.Trim(s, `"`)) {
			fmt.Fprintf(&b, `\x%02x`, c)
		}
		return `"` + b.String() + `"`
	})
	events := must.Get(parse(strings.NewReader(strings.TrimSpace(margin.ReplaceAllString(lines, "\n")))))(t)
	return &Run{dir: "/d", events: events}
}

func played(t *testing.T, image Image, lines string) *Disk {
	t.Helper()
	d := NewDisk(image)
	must.Do(t, d.Play(trace(t, lines), nil))
	return d
}

// left returns the files as text, in the order of names.
func left(image Image) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(image)) {
		fmt.Fprintf(&b, "%s=%s ", name, image[name])
	}
	return strings.TrimSpace(b.String())
}

// certain is what every power cut keeps, seen what programs read, of files a="old" and
// gone="g".
func TestDisk_KeepsWhatWasSynced(t *testing.T) {
	const open, folder = `
		1 openat(AT_FDCWD, "/d/a", O_RDWR|O_CREAT, 0600) = 5
		1 openat(AT_FDCWD, "/d/new", O_RDWR|O_CREAT, 0600) = 6`, `
		1 openat(AT_FDCWD, "/d", O_RDONLY) = 7`
	for _, test := range []struct{ what, lines, certain, seen string }{
		{"nothing has happened", ``, "a=old gone=g", "a=old gone=g"},
		{"a write is not synced", open + `
			1 pwrite64(5, "XY", 2, 1) = 2`, "a=old gone=g", "a=oXY gone=g new="},
		{"a write is synced", open + `
			1 pwrite64(5, "XY", 2, 1) = 2
			1 fdatasync(5) = 0
			1 pwrite64(5, "Z", 1, 0) = 1`, "a=oXY gone=g", "a=ZXY gone=g new="},
		{"a sync fails", open + `
			1 pwrite64(5, "XY", 2, 1) = 2
			1 fsync(5) = -1 EIO (Input/output error)`, "a=old gone=g", "a=oXY gone=g new="},
		{"a sync has not ended", open + `
			1 pwrite64(5, "XY", 2, 1) = 2
			1 fsync(5 <unfinished ...>`, "a=old gone=g", "a=oXY gone=g new="},
		{"a sync covers what had ended when it began", open + `
			1 pwrite64(5, "X", 1, 0) = 1
			2 pwrite64(5, "Y", 1, 1 <unfinished ...>
			1 fsync(5 <unfinished ...>
			2 <... pwrite64 resumed>) = 1
			1 <... fsync resumed>) = 0`, "a=Xld gone=g", "a=XYd gone=g new="},
		{"a sync is of one file", open + `
			1 pwrite64(5, "X", 1, 0) = 1
			1 pwrite64(6, "Y", 1, 0) = 1
			1 fsync(6) = 0`, "a=old gone=g", "a=Xld gone=g new=Y"},
		{"of a new file content alone is synced", open + `
			1 write(6, "Y", 1) = 1
			1 fsync(6) = 0`, "a=old gone=g", "a=old gone=g new=Y"},
		{"of a new file the name alone is synced", open + folder + `
			1 write(6, "Y", 1) = 1
			1 fsync(7) = 0`, "a=old gone=g new=", "a=old gone=g new=Y"},
		{"of a new file all is synced", open + folder + `
			1 write(6, "Y", 1) = 1
			1 fsync(6) = 0
			1 fsync(7) = 0`, "a=old gone=g new=Y", "a=old gone=g new=Y"},
		{"a file is removed", `
			1 unlink("/d/gone") = 0`, "a=old gone=g", "a=old"},
		{"a file is removed, and the folder synced", folder + `
			1 unlinkat(AT_FDCWD, "/d/gone", 0) = 0
			1 fsync(7) = 0`, "a=old", "a=old"},
		{"a file is removed while the folder is synced", folder + `
			1 fsync(7 <unfinished ...>
			2 unlink("/d/gone") = 0
			1 <... fsync resumed>) = 0`, "a=old gone=g", "a=old"},
		{"a file is removed and another one made", `
			1 unlink("/d/a") = 0` + open + `
			1 write(5, "N", 1) = 1
			1 fsync(5) = 0`, "a=old gone=g", "a=N gone=g new="},
		{"a file is cut", open + `
			1 ftruncate(5, 1) = 0`, "a=old gone=g", "a=o gone=g new="},
		{"a file is cut and lengthened", open + `
			1 ftruncate(5, 1) = 0
			1 pwrite64(5, "z", 1, 3) = 1
			1 fsync(5) = 0`, "a=o\x00\x00z gone=g", "a=o\x00\x00z gone=g new="},
		{"a file is appended to, in part", open + `
			1 write(5, "er", 2) = 2
			1 write(5, "xy", 2) = 1`, "a=old gone=g", "a=olderx gone=g new="},
		{"a descriptor is used again", open + `
			1 close(5) = 0
			1 openat(AT_FDCWD, "/elsewhere", O_RDWR) = 5
			1 pwrite64(5, "X", 1, 0) = 1`, "a=old gone=g", "a=old gone=g new="},
		{"a call fails", open + `
			1 unlink("/d/a") = -1 EACCES (Permission denied)
			1 openat(AT_FDCWD, "/d/b", O_RDWR|O_CREAT, 0600) = -1 EACCES (Permission denied)`, "a=old gone=g", "a=old gone=g new="},
	} {
		t.Run(test.what, func(t *testing.T) {
			d := played(t, Image{"a": []byte("old"), "gone": []byte("g")}, test.lines)
			if got := left(d.Cut(KeepNothing, nil)); got != test.certain {
				t.Errorf("%q is certain, want %q", got, test.certain)
			}
			if got := left(d.Cut(KeepAll, nil)); got != test.seen {
				t.Errorf("%q is seen, want %q", got, test.seen)
			}
		})
	}
}

func TestCut_KeepsAnySubsetOfUnsyncedChanges(t *testing.T) {
	d := played(t, Image{"a": []byte("ab")}, `
		1 openat(AT_FDCWD, "/d/a", O_RDWR) = 5
		1 openat(AT_FDCWD, "/d/b", O_RDWR|O_CREAT, 0600) = 6
		1 pwrite64(5, "X", 1, 0) = 1
		1 pwrite64(5, "Y", 1, 0) = 1
		1 pwrite64(5, "Z", 1, 1) = 1`)
	want := map[string]bool{}
	for _, a := range []string{"ab", "Xb", "Yb", "aZ", "XZ", "YZ"} {
		want["a="+a], want["a="+a+" b="] = true, true
	}
	for _, way := range []Mode{KeepSome, KeepTorn} {
		random := rand.New(rand.NewPCG(1, 1))
		got := map[string]bool{}
		for range 1000 {
			got[left(d.Cut(way, random))] = true
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v: %s", way, diff)
		}
	}
}

func TestCut_TearsWritesAtSectors(t *testing.T) {
	const size, from = 4 * sector, sector / 2 // in five sectors
	d := played(t, Image{"a": bytes.Repeat([]byte("o"), 6*sector)}, fmt.Sprintf(`
		1 openat(AT_FDCWD, "/d/a", O_RDWR) = 5
		1 pwrite64(5, "%s", %d, %d) = %[2]d`, strings.Repeat("n", size), size, from))
	random := rand.New(rand.NewPCG(1, 1))
	seen := map[string]int{}
	for range 5000 {
		a := d.Cut(KeepTorn, random)["a"]
		shape := ""
		for s := range 6 {
			part := a[s*sector : (s+1)*sector]
			begin, end := 0, sector // of what is written
			switch s {
			case 0:
				begin = from
			case 4:
				end = from
			case 5:
				end = 0
			}
			if bytes.Contains(part[:begin], []byte("n")) || bytes.Contains(part[end:], []byte("n")) {
				t.Fatal("bytes outside the write have changed")
			}
			if end == 0 {
				continue
			}
			b := part[begin]
			if !bytes.Equal(part[begin:end], bytes.Repeat([]byte{b}, end-begin)) {
				t.Fatal("a sector is torn")
			}
			shape += string(b)
		}
		seen[shape]++
	}
	if len(seen) != 1<<5 {
		t.Errorf("of 32 ways to tear five sectors, %d were seen: %v", len(seen), seen)
	}
	if seen["ooooo"] < 500 || seen["nnnnn"] < 500 || seen["nnooo"] < 100 {
		t.Errorf("nothing, all and the first sectors are too rare: %v", seen)
	}
}

// The next program sees the unsynced writes of the previous one, and its sync of a file
// includes them.
func TestPlay_SyncIncludesWritesOfThePreviousProgram(t *testing.T) {
	d := played(t, nil, `
		1 openat(AT_FDCWD, "/d/a", O_RDWR|O_CREAT, 0600) = 5
		1 write(5, "X", 1) = 1`)
	next := trace(t, `
		1 write(5, "?", 1) = 1
		1 openat(AT_FDCWD, "/d/a", O_RDWR) = 6
		1 fsync(6) = 0
		1 openat(AT_FDCWD, "/d", O_RDONLY) = 7
		1 fsync(7) = 0`)
	must.Do(t, d.Play(next, func(moment int) bool { return moment < next.Moments()-2 }))
	if got := left(d.Cut(KeepNothing, nil)); got != "" {
		t.Errorf("killed before the name was synced: %q", got)
	}
	must.Do(t, d.Play(next, nil))
	if got := left(d.Cut(KeepNothing, nil)); got != "a=X" {
		t.Errorf("got %q", got)
	}
}

func TestCut_MappedFileHasAnyContent(t *testing.T) {
	d := played(t, nil, `
		1 openat(AT_FDCWD, "/d/a", O_RDWR|O_CREAT, 0600) = 5
		1 ftruncate(5, 100) = 0
		1 mmap(NULL, 100, PROT_READ|PROT_WRITE, MAP_SHARED, 5, 0) = 0x7f3963520000`)
	random := rand.New(rand.NewPCG(1, 1))
	one, two := d.Cut(KeepAll, random)["a"], d.Cut(KeepAll, random)["a"]
	if len(one) != 100 || bytes.Equal(one, two) {
		t.Errorf("%x, %x", one, two)
	}
}

// Output counts from the beginning of the write, when it may already be visible.
func TestPlay_OutputCountsFromTheBeginningOfItsWrite(t *testing.T) {
	r := trace(t, `
		1 fsync(5) = 0
		1 write(1, "yes", 3 <unfinished ...>
		2 write(2, "no", 2) = 2
		1 <... write resumed>) = 3
		1 write(1, "!", 1 <unfinished ...>`)
	must.Equal(t, []int{2, 6}, r.Outputs())
	must.Equal(t, []int{0}, r.Syncs())
	d := NewDisk(nil)
	var said []string
	must.Do(t, d.Play(r, func(int) bool { said = append(said, d.Output()); return true }))
	must.Equal(t, []string{"", "", "yes", "yes", "yes", "yes", "yes!"}, said)
}
