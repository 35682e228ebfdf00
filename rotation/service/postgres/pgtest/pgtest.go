// Package pgtest starts a real PostgreSQL for tests: the installed server, in a
// temporary folder, as an ordinary user, on a Unix socket. It ends with the test
// process, even if that is killed.
//
// If PostgreSQL is not installed, the test is skipped with the command that installs
// it; if the environment variable CI is set, it fails. PGTEST_BIN=/folder/bin selects
// the programs of another version. The user that runs them must be able to read them.
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

	"cvvrotation/sim/must"
)

// patience is the timeout for starting and stopping a server.
const patience = time.Minute

// shared is the server of Start, one for each process.
var shared struct {
	sync.Mutex
	server *Server
}

// Start returns the URL of a new, empty database on a server that all tests of the
// process share. The server does not sync to disk. The database is dropped when the
// test ends, even if connections to it are open.
func Start(t testing.TB) string {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		s := must.Get(start(programs(t), "fsync=off", "cvvd.fsync=off"))(t) // confirmed, so that the store accepts it
		shared.server = s
	}
	return shared.server.Database(t)
}

// Server is a PostgreSQL server of one test, which may stop and start it.
type Server struct {
	bin, dir string
	settings []string
	account  *syscall.SysProcAttr

	keeper *exec.Cmd // stops the server and removes dir when its input ends
	alive  *os.File  // the keeper's input
}

// New starts a server for this test alone, and stops it when the test ends. Settings
// are as in postgresql.conf, such as "fsync=off" or "shared_buffers=1GB". By default
// the server syncs to disk.
func New(t testing.TB, settings ...string) *Server {
	t.Helper()
	s := must.Get(start(programs(t), settings...))(t)
	t.Cleanup(s.end)
	return s
}

// programs returns the folder of PostgreSQL's programs: PGTEST_BIN, or that of the
// newest installed version.
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
		t.Fatal("PostgreSQL is not installed, and CI must not skip tests: .ci/run installs it")
	}
	if len(found) == 0 {
		t.Skip("PostgreSQL is not installed: apt-get install postgresql")
	}
	return filepath.Dir(found[0])
}

// major returns the major version of a path such as
// /usr/lib/postgresql/15/bin/initdb.
func major(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return n
}

// keep is the keeper's script. Its input is a pipe that only the test process holds,
// so it ends when the process does, even if that is killed.
const keep = `trap '' INT TERM HUP; read -r _; "$0/pg_ctl" -D "$1/data" -m immediate -s stop; rm -rf "$1"`

func start(bin string, settings ...string) (*Server, error) {
	return startCreated(bin, (*Server).initialise, settings...)
}

// initialise creates the data of a new server.
func (s *Server) initialise() error {
	return s.run("initdb", "-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
}

// startCreated starts a server whose data create has created.
func startCreated(bin string, create func(*Server) error, settings ...string) (*Server, error) {
	account, owner, err := ordinaryUser()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(tempDir(owner >= 0), "pg")
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
	if err := create(s); err != nil {
		s.end()
		return nil, err
	}
	if err := s.run("pg_ctl", s.startArguments()...); err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

// tempDir returns the folder for the server's own, which the keeper removes: /tmp if the
// usual one is no place for another user, or for a socket, whose path has at most 107
// bytes.
func tempDir(otherUser bool) string {
	const all = 0o007
	dir := os.TempDir()
	info, err := os.Stat(dir)
	if len(dir) > 60 || otherUser && (err != nil || info.Mode()&all != all) {
		return "/tmp"
	}
	return dir
}

// ordinaryUser returns how to start a program as a user that PostgreSQL accepts (it
// refuses root), and the id of that user, -1 for the current one.
func ordinaryUser() (*syscall.SysProcAttr, int, error) {
	if os.Getuid() != 0 {
		return &syscall.SysProcAttr{Setpgid: true}, -1, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.LookupId("65534") // the unprivileged user of most systems
	}
	if err != nil {
		return nil, 0, fmt.Errorf("PostgreSQL does not run as root, and there is no other user to run it: %w", err)
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

// run runs one of PostgreSQL's programs and waits for it. Its output goes to a file,
// because the server that pg_ctl starts would inherit a pipe and keep it open.
func (s *Server) run(program string, args ...string) error {
	output, err := os.CreateTemp("", "pgtest")
	if err != nil {
		return err
	}
	defer os.Remove(output.Name())
	defer output.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, program), args...)
	cmd.SysProcAttr, cmd.Dir, cmd.Stdout, cmd.Stderr = s.account, "/", output, output
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(output.Name())
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

// Stop stops the server like a crash: it writes nothing more and breaks connections.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	must.Do(t, s.run("pg_ctl", "-D", s.data(), "-m", "immediate", "-s", "-w", "stop"))
}

// Start starts a stopped server. URLs stay valid.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	must.Do(t, s.run("pg_ctl", s.startArguments()...))
}

// Log returns the server's log.
func (s *Server) Log(t testing.TB) string {
	t.Helper()
	log := must.Get(os.ReadFile(filepath.Join(s.dir, "log")))(t)
	return string(log)
}

// Database returns the URL of a new, empty database, which is dropped when the
// test ends.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name, database := s.create(t)
	t.Cleanup(func() {
		if err := s.exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return database
}

// NewDatabase returns the URL of a new, empty database, which lasts as long as the server,
// or its standby.
func (s *Server) NewDatabase(t testing.TB) string {
	t.Helper()
	_, database := s.create(t)
	return database
}

func (s *Server) create(t testing.TB) (name, database string) {
	t.Helper()
	name = "test_" + strconv.FormatInt(time.Now().UnixNano(), 36)
	must.Do(t, s.exec("CREATE DATABASE "+name))
	return name, s.url(name)
}

func (s *Server) url(database string) string {
	return "postgres://postgres@/" + database + "?host=" + url.QueryEscape(s.dir)
}

// query runs a query that returns one value.
func (s *Server) query(sql string, value any) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.url("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return conn.QueryRow(ctx, sql).Scan(value)
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
