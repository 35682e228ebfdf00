package main

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"cvvrotation/rotation/engine/event"
	"cvvrotation/sim/must"
)

// It does what a new user does: start cvvd without arguments, run the commands that it
// prints, stop it and start it again.
func TestDevelopmentTour_PrintedCommandsWork(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	dir := filepath.Join(home, ".local", "state", "cvvd-dev")
	env := []string{"HOME=" + home}
	first := start(t, env).serving()
	first.wait(first.out, "Stop cvvd with Ctrl-C")
	printed := first.out.String()
	if strings.Contains(printed, "<no value>") || !strings.Contains(printed, dir) {
		t.Fatal(printed)
	}

	lines := regexp.MustCompile(`(?m)^  (TOKEN=|curl ).*$`).FindAllString(printed, -1)
	if len(lines) != 7 {
		t.Fatalf("%d lines to try", len(lines))
	}
	answers := try(t, lines)
	if len(answers) != 6 {
		t.Fatalf("%d answers: %q", len(answers), answers)
	}
	var registered, rotated, shown, revealed, judged struct {
		Success     bool
		Type        string `json:"cvv_rotation_type"`
		Next        string `json:"cvv_next_rotation_date"`
		Version     int64  `json:"cvv_version"`
		Verdict     string
		CVV         string
		Rescheduled *bool
	}
	var history struct {
		Events []struct{ Sentence string }
	}
	for i, to := range []any{&registered, &rotated, &shown, &history, &revealed, &judged} {
		if err := json.Unmarshal([]byte(answers[i]), to); err != nil {
			t.Fatalf("%s: %v", answers[i], err)
		}
	}
	if registered.Version != 1 || registered.Next == "" {
		t.Errorf("registered: %s", answers[0])
	}
	if !rotated.Success || rotated.Type != "MANUAL" || rotated.Version != 2 || rotated.Rescheduled == nil || *rotated.Rescheduled {
		t.Errorf("rotated: %s", answers[1])
	}
	if shown.Version != 2 || shown.Next != registered.Next {
		t.Errorf("the schedule is not kept: %s", answers[2])
	}
	if len(history.Events) != 2 || !strings.Contains(history.Events[0].Sentence, "after the new interval at") || !strings.Contains(history.Events[0].Sentence, "CVV rotated, schedule kept") {
		t.Errorf("the history: %s", answers[3])
	}
	if len(revealed.CVV) != 3 || revealed.Version != 2 {
		t.Errorf("revealed a CVV of %d digits, version %d", len(revealed.CVV), revealed.Version)
	}
	if want := map[bool]string{true: "current", false: "wrong"}[revealed.CVV == "123"]; judged.Verdict != want {
		t.Errorf("judged: %s", answers[5])
	}

	// The events are in the file: registered with an interval, then forced.
	if status, _ := first.get(first.ops + "/readyz"); status != 200 {
		t.Errorf("not ready: %d", status)
	}
	if status, page := first.get(first.ops + "/"); status != 200 || !strings.Contains(page, " 1 card ·") {
		t.Errorf("the status page: %d", status)
	}
	if status, page := first.get(first.ops + "/cards/demo"); status != 200 || !strings.Contains(page, history.Events[0].Sentence) {
		t.Errorf("the page of the card: %d", status)
	}
	if status, page := first.get(first.ops + "/cards"); status != 200 || !strings.Contains(page, "<form") {
		t.Errorf("the page that asks for a card: %d", status)
	}
	if status, metrics := first.get(first.ops + "/metrics"); status != 200 || !strings.Contains(metrics, `cvv_rotations_total{kind="forced",reason="guard",scenario="0"} 1`) {
		t.Errorf("the metrics: %d", status)
	}
	file := filepath.Join(dir, "events.jsonl")
	until(t, "the events are delivered", func() bool { return len(readEvents(t, file)) == 2 })
	if err := first.end(syscall.SIGTERM); err != nil {
		t.Fatalf("ended with %v", err)
	}
	if log := first.log.String(); !strings.Contains(log, "no request was cut off") {
		t.Error("no log message about a graceful shutdown")
	}
	events := readEvents(t, file)
	if len(events) != 2 || events[0].Operation != event.OperationChangeInterval || events[1].Operation != event.OperationRotate || events[1].Version != 2 {
		t.Errorf("events: %+v", events)
	}

	// The next day everything is still there, under another token.
	second := start(t, env, "serve", "--dev").serving()
	if out := operator(t, env, "card", "show", "--dev", "demo", "-o", "json"); !strings.Contains(out, `"version":2`) {
		t.Errorf("after starting again: %s", out)
	}
	ofCard := start(t, env, "events", "tail", "--dev", "--follow", "--card", "demo")
	ofCard.wait(ofCard.out, `(?s)"demo.2".*\n`)
	operator(t, env, "card", "force", "--dev", "demo")
	ofCard.wait(ofCard.out, `(?s)"demo.3".*\n`)
	if err := ofCard.end(syscall.SIGINT); err != nil || strings.Count(ofCard.out.String(), "\n") != 3 {
		t.Errorf("tail of a card ended with %v: %s", err, ofCard.out)
	}
	tail := start(t, env, "events", "tail", "--dev", "--follow")
	tail.wait(tail.out, `(?s)"demo.3".*\n`)
	if err := tail.end(syscall.SIGINT); err != nil {
		t.Errorf("tail ended with %v", err)
	}
	if status, _ := second.get(second.pci + "/v1/cards/demo/cvv"); status != http.StatusUnauthorized {
		t.Errorf("without a token: %d", status)
	}
	until(t, "the operator's event is delivered", func() bool { return len(readEvents(t, file)) == 3 })
	if err := second.end(syscall.SIGINT); err != nil {
		t.Fatalf("ended with %v", err)
	}

	// What was logged, and what lies on the disk, tells nobody a secret.
	key := must.Get(os.ReadFile(filepath.Join(dir, "sealing.keys")))(t)
	_, secret, _ := strings.Cut(strings.TrimSpace(string(key)), ":")
	token := strings.TrimPrefix(strings.TrimSpace(lines[0]), "TOKEN=")
	audit := must.Get(os.ReadFile(filepath.Join(dir, "audit.jsonl")))(t)
	if n := strings.Count(string(audit), "\n"); n != 5 { // registered, rotated, revealed; what the operator did; and the call without a token
		t.Errorf("%d records in the audit log", n)
	}
	for name, text := range map[string]string{"first log": first.log.String(), "second log": second.log.String(), "audit log": string(audit)} {
		for what, hidden := range map[string]string{"token": token, "token's signature": token[strings.LastIndexByte(token, '.'):], "sealing key": secret,
			"CVV": `cvv=` + revealed.CVV, "another CVV": `"cvv":"`} {
			if strings.Contains(text, hidden) {
				t.Errorf("the %s holds a %s", name, what)
			}
		}
	}
	for _, name := range []string{".", "sealing.keys", "cvvd.db", "events.jsonl", "audit.jsonl"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

// try runs the lines in a shell, as printed; without curl it sends the same
// requests itself.
func try(t *testing.T, lines []string) (answers []string) {
	t.Helper()
	if _, err := exec.LookPath("curl"); err == nil {
		out := must.Get(exec.Command("sh", "-ec", strings.Join(lines, "\n")).Output())(t)
		return strings.Split(strings.TrimSpace(string(out)), "\n")
	}
	t.Log("there is no curl: sending what it would")
	_, token, _ := strings.Cut(lines[0], "=")
	p := &process{t: t, client: http.DefaultClient}
	for _, line := range lines[1:] {
		var method, url, body = "GET", "", ""
		words := regexp.MustCompile(`'[^']*'|"[^"]*"|\S+`).FindAllString(line, -1)
		for i, w := range words {
			switch {
			case w == "-X":
				method = words[i+1]
			case w == "-d":
				body = strings.Trim(words[i+1], "'")
			case strings.HasPrefix(w, "http://"):
				url = w
			}
		}
		_, answer := p.send(method, url, token, body)
		answers = append(answers, answer)
	}
	return answers
}

func readEvents(t *testing.T, file string) (events []event.Changed) {
	t.Helper()
	text := must.Get(os.ReadFile(file))(t)
	for line := range strings.Lines(string(text)) {
		e, err := event.Parse([]byte(strings.TrimSuffix(line, "\n")))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		events = append(events, e)
	}
	return events
}
