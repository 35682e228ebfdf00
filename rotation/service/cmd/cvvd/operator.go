package main

import (
	"os"
	"os/user"
	"strconv"
	"strings"

	"cvvrotation/rotation/service/audit"
)

// unsetLoginUID is the login uid of a process that no login started (-1).
const unsetLoginUID = 1<<32 - 1

// identity says who runs a command.
type identity struct {
	loginUID string // that the kernel keeps from the login on, through su and sudo; "": unset
	uid      string // of the process
	sudoUser string // that the environment claims
	host     string
}

func (c *cli) identity() identity {
	text, _ := os.ReadFile("/proc/self/loginuid") // missing: a kernel without audit
	host, _ := os.Hostname()
	return identity{loginUID: parseLoginUID(string(text)), uid: strconv.Itoa(os.Getuid()), sudoUser: c.env("SUDO_USER"), host: host}
}

// parseLoginUID returns the decimal uid in the text, or "" if it is unset or the text
// is not a uid.
func parseLoginUID(text string) string {
	uid, err := strconv.ParseUint(strings.TrimSpace(text), 10, 32)
	if err != nil || uid == unsetLoginUID {
		return ""
	}
	return strconv.FormatUint(uid, 10)
}

// record returns an audit record of the operator: the user who logged in, or, if the
// kernel does not know, the user of the process.
func (i identity) record() audit.Record {
	r := audit.Record{By: "operator", Subject: userName(i.uid), LoginUID: i.loginUID, ClaimedSudoUser: i.sudoUser, From: i.host}
	if i.loginUID != "" && i.loginUID != i.uid {
		r.Subject, r.RunAs = userName(i.loginUID), r.Subject
	}
	return r
}

// userName returns the name of the uid, or "uid N" if it has none.
func userName(uid string) string {
	if u, err := user.LookupId(uid); err == nil { // user.Current trusts $USER if there is no entry
		return u.Username
	}
	return "uid " + uid
}
