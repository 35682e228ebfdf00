// Package pgtest gives tests a real PostgreSQL: Debian's package, started in a
// temporary folder as an ordinary user, on a Unix socket, and gone with the
// test process, however that ends.
//
// Where no PostgreSQL is installed, a test is skipped and says how to install
// it; with the environment variable CI set, it fails. PGTEST_BIN=/folder/bin
// takes the programs in that folder, of another version, which the user that
// runs them must be able to read.
package pgtest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// patience is how long a server may take to start or to stop.
const patience = time.Minute

// shared is the server of this process that Start uses.
var shared struct {
	sync.Mutex
	server *Server
}

// Start returns the URL of a new, empty database on a server that all tests of
// the process share. It does not sync to disk. The database is dropped when the
// test ends, also while connections to it are open.
func Start(t testing.TB) string {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		s, err := start(programs(t), "fsync=off", "cvvd.fsync=off") // which says that this is known
		if err != nil {
			t.Fatal(err)
		}
		shared.server = s
	}
	return shared.server.Database(t)
}

// Server is a PostgreSQL that belongs to one test, which may stop and start it.
type Server struct {
	bin, dir string
	settings []string
	account  *syscall.SysProcAttr

	keeper *exec.Cmd // stops the server and removes dir when its input ends
	alive  *os.File  // the keeper's input
}

// New starts a server for this test alone, and ends it with the test. Settings
// are as in postgresql.conf: "fsync=off", "shared_buffers=1GB". Without any, it
// syncs to disk.
func New(t testing.TB, settings ...string) *Server {
	t.Helper()
	s, err := start(programs(t), settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.end)
	return s
}

// programs returns the folder of PostgreSQL's programs: PGTEST_BIN, or that of
// the newest version there is.
func programs(t testing.TB) string {
	t.Helper()
	if bin := os.Getenv("PGTEST_BIN"); bin != "" {
		if _, err := os.Stat(filepath.Join(bin, "initdb")); err != nil {
			t.Fatalf("PGTEST_BIN: %v", err)
		}
		return bin
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	slices.SortFunc(found, func(a, b string) int { return major(b) - major(a) })
	if path, err := exec.LookPath("initdb"); err == nil {
		found = append(found, path)
	}
	if len(found) == 0 && os.Getenv("CI") != "" {
		t.Fatal("no PostgreSQL, and CI must not skip: .ci/run installs postgresql")
	}
	if len(found) == 0 {
		t.Skip("no PostgreSQL: install it (apt-get install postgresql), then go test again")
	}
	return filepath.Dir(found[0])
}

// major returns the version in /usr/lib/postgresql/15/bin/initdb.
func major(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return n
}

// keep is the keeper's script. Its input is a pipe that only the test process
// holds, so it ends with the process, also when that is killed.
const keep = `trap '' INT TERM HUP; read -r _; "$0/pg_ctl" -D "$1/data" -m immediate -s stop; rm -rf "$1"`

func start(bin string, settings ...string) (*Server, error) {
	account, owner, err := ordinaryUser()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pg")
	if err == nil && len(dir) > 80 { // a socket's path has at most 107 bytes
		os.Remove(dir)
		dir, err = os.MkdirTemp("/tmp", "pg")
	}
	if err != nil {
		return nil, err
	}
	if owner >= 0 {
		if err := os.Chown(dir, owner, -1); err != nil {
			os.Remove(dir)
			return nil, err
		}
	}
	s := &Server{bin: bin, dir: dir, settings: settings, account: account}
	in, alive, err := os.Pipe()
	if err != nil {
		os.Remove(dir)
		return nil, err
	}
	s.alive = alive
	s.keeper = exec.Command("/bin/sh", "-c", keep, bin, dir)
	s.keeper.SysProcAttr, s.keeper.Stdin, s.keeper.Dir = account, in, "/"
	err = s.keeper.Start()
	in.Close()
	if err != nil {
		alive.Close()
		os.Remove(dir)
		return nil, fmt.Errorf("as an ordinary user: %w", err)
	}
	if err := s.run("initdb", "-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"); err != nil {
		s.end()
		return nil, err
	}
	if err := s.run("pg_ctl", s.startArguments()...); err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

// ordinaryUser returns how to start a program as a user that PostgreSQL accepts,
// which root is not, and that user's number, -1 for the one that we are.
func ordinaryUser() (*syscall.SysProcAttr, int, error) {
	if os.Getuid() != 0 {
		return &syscall.SysProcAttr{Setpgid: true}, -1, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, 0, fmt.Errorf("root must not run PostgreSQL, and there is no user postgres or nobody: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, 0, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, 0, err
	}
	return &syscall.SysProcAttr{
		Setpgid:    true,
		Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)},
	}, int(uid), nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) startArguments() []string {
	options := "-c listen_addresses= -c unix_socket_directories=" + s.dir
	for _, setting := range s.settings {
		options += " -c " + setting
	}
	return []string{"-D", s.data(), "-l", filepath.Join(s.dir, "log"), "-w", "-s", "-o", options, "start"}
}

// run runs one of PostgreSQL's programs to its end. The server that pg_ctl
// leaves behind must not inherit a pipe of ours, so what is said goes to a file.
func (s *Server) run(program string, args ...string) error {
	said, err := os.CreateTemp("", "pgtest")
	if err != nil {
		return err
	}
	defer os.Remove(said.Name())
	defer said.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, program), args...)
	cmd.SysProcAttr, cmd.Dir, cmd.Stdout, cmd.Stderr = s.account, "/", said, said
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(said.Name())
		log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
		return fmt.Errorf("%s: %w\n%s%s", program, err, text, log[max(0, len(log)-4000):])
	}
	return nil
}

// end stops the server and removes its folder.
func (s *Server) end() {
	s.alive.Close()
	s.keeper.Wait()
}

// Stop stops the server as a crash does: nothing is written, connections break.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if err := s.run("pg_ctl", "-D", s.data(), "-m", "immediate", "-s", "-w", "stop"); err != nil {
		t.Fatal(err)
	}
}

// Start starts a server that was stopped. URLs stay good.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	if err := s.run("pg_ctl", s.startArguments()...); err != nil {
		t.Fatal(err)
	}
}

// Log returns what the server has logged.
func (s *Server) Log(t testing.TB) string {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(log)
}

// Database returns the URL of a new, empty database, which is dropped when the
// test ends.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := "test_" + strconv.FormatInt(time.Now().UnixNano(), 36)
	if err := s.exec("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return s.url(name)
}

func (s *Server) url(database string) string {
	return "postgres://postgres@/" + database + "?host=" + url.QueryEscape(s.dir)
}

func (s *Server) exec(sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.url("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	if err != nil {
		return fmt.Errorf("%s: %w", strings.Fields(sql)[0], err)
	}
	return nil
}
