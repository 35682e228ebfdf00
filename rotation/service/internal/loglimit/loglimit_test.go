package loglimit_test

import (
	"testing"
	"time"

	"github.com/benbjohnson/clock"

	"cvvrotation/rotation/internal/logtest"
	"cvvrotation/rotation/service/internal/loglimit"
	"cvvrotation/sim/must"
)

func TestLogger_DropsRecordsAboveLimitAndCountsThem(t *testing.T) {
	var log logtest.Buffer
	clk := clock.NewMock()
	limited := loglimit.New(log.JSON(), clk)
	derived := limited.With("a", 1).WithGroup("g") // has the same limit
	for range 40 {
		limited.Info("x")
		derived.Warn("y")
	}
	must.Equal(t, loglimit.Burst, len(log.Records(t)))
	clk.Add(time.Second / 2)
	limited.Info("too early")
	clk.Add(time.Second / 2)
	limited.Info("next", "b", 2)
	clk.Add(time.Second)
	limited.Info("last")
	records := log.Records(t)
	must.Equal(t, loglimit.Burst+2, len(records))
	next, last := records[loglimit.Burst], records[loglimit.Burst+1]
	if next["msg"] != "next" || next["suppressed"] != 21.0 || next["b"] != 2.0 {
		t.Error(next)
	}
	if _, ok := last["suppressed"]; last["msg"] != "last" || ok {
		t.Error(last)
	}
}
