package main

import (
	"encoding/json"
	"strings"
	"syscall"
	"testing"

	"cvvrotation/cmd/command"
	"cvvrotation/sim/must"
)

const fipsOnly = "GODEBUG=fips140=only"

func TestServe_RandomCVVsWorkUnderFIPS140Only(t *testing.T) {
	t.Parallel()
	env := settings(t, fipsOnly)
	p := start(t, env, "serve").serving()
	auth := token(t, "cards:register cvv:rotate cvv:reveal")
	if status, body := p.send("PUT", p.pci+"/v1/cards/a", auth, ""); status != 201 {
		t.Fatal(status, body)
	}
	if status, body := p.send("POST", p.pci+"/v1/cards/a/cvv/rotate", auth, ""); status != 200 {
		t.Fatal(status, body)
	}
	status, body := p.send("GET", p.pci+"/v1/cards/a/cvv", auth, "")
	var revealed struct {
		CVV     string
		Version int64 `json:"cvv_version"`
	}
	if err := json.Unmarshal([]byte(body), &revealed); err != nil || status != 200 || len(revealed.CVV) != 3 || revealed.Version != 2 {
		t.Errorf("status %d, a CVV of %d digits, version %d, %v", status, len(revealed.CVV), revealed.Version, err)
	}
	must.Do(t, p.end(syscall.SIGTERM))
	if out := operator(t, env, "card", "force", "a"); !strings.Contains(out, "version 3") {
		t.Error(out)
	}
}

func TestServe_DerivedCVVsAreRefusedUnderFIPS140Only(t *testing.T) {
	t.Parallel()
	derived := []string{"CVVD_CVV_KIND=derived", "CVVD_CVV_CVK=4C37C8319D76ADAB58D9431543C2165B", "CVVD_CVV_EXPIRY_ORDER=YYMM"}
	for _, args := range [][]string{{"serve"}, {"config", "check"}, {"card", "show", "a"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			p := start(t, settings(t, append(derived, fipsOnly)...), args...)
			<-p.done
			want := "error: cvv.kind: derived CVVs need DES, which GODEBUG=fips140=only forbids: set cvv.kind = \"random\", or start cvvd without this GODEBUG\n"
			if log := p.log.String(); exitCode(p.err) != command.ExitUsage || !strings.Contains(log, want) || p.out.String() != "" {
				t.Errorf("%v: %s%s", p.err, p.out, log)
			}
		})
	}
	start(t, settings(t, derived...), "serve").serving()
}
