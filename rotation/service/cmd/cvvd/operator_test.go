package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"cvvrotation/rotation/service/audit"
	"cvvrotation/sim/must"
)

func TestParseLoginUID(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0", "1000": "1000", "1000\n": "1000", "4294967294": "4294967294",
		"4294967295": "", "4294967296": "", "-1": "", "": "", "root": "", "1000 0": "", "0x10": "",
	} {
		t.Run(text, func(t *testing.T) { must.Equal(t, want, parseLoginUID(text)) })
	}
}

// The record names the user who logged in, whichever user the command runs as and
// whatever the environment claims.
func TestOperator_IsTheLoginUser(t *testing.T) {
	const none = "4000000123" // no such user
	for name, row := range map[string]struct {
		who  identity
		want audit.Record
	}{
		"root, logged in as root": {identity{loginUID: "0", uid: "0"}, audit.Record{Subject: "root", LoginUID: "0"}},
		"sudo": {identity{loginUID: none, uid: "0", sudoUser: "alice"},
			audit.Record{Subject: "uid " + none, LoginUID: none, RunAs: "root", ClaimedSudoUser: "alice"}},
		"sudo, and a false claim": {identity{loginUID: "0", uid: none, sudoUser: "mallory"},
			audit.Record{Subject: "root", LoginUID: "0", RunAs: "uid " + none, ClaimedSudoUser: "mallory"}},
		"no login uid":              {identity{uid: "0"}, audit.Record{Subject: "root"}},
		"no login uid, but a claim": {identity{uid: "0", sudoUser: "alice"}, audit.Record{Subject: "root", ClaimedSudoUser: "alice"}},
		"no login uid, no name":     {identity{uid: none}, audit.Record{Subject: "uid " + none}},
	} {
		t.Run(name, func(t *testing.T) {
			row.who.host, row.want.From, row.want.By = "bastion-1", "bastion-1", "operator"
			must.Equal(t, row.want, row.who.record())
		})
	}
}

// TestOperator_KernelsLoginUID runs a command as root after a login as user 1.
func TestOperator_KernelsLoginUID(t *testing.T) {
	t.Parallel()
	if out, err := exec.Command("sh", "-c", "echo 1 >/proc/self/loginuid").CombinedOutput(); err != nil {
		t.Skipf("this test may not set a login uid: %s", out)
	}
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	cmd := exec.Command("sh", "-c", `echo 1 >/proc/self/loginuid; exec "$@"`, "sh", must.Get(binary())(t), "migrate")
	cmd.Env = append(settings(t, "CVVD_LOG_AUDIT_FILE="+file, "SUDO_USER=mallory"), "PATH="+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	r := readAudit(t, file)[0]
	if r["subject"] != userName("1") || r["login_uid"] != "1" || r["run_as"] != userName(strconv.Itoa(os.Getuid())) || r["claimed_sudo_user"] != "mallory" {
		t.Error(r)
	}
}
