// Package durability kills the real binary, or stops its database, under real traffic and compares what is stored with what was acked
// to clients.
package durability

import (
	"os"
	"strconv"
	"testing"

	"sohbet/bench/process"
	"sohbet/models/storetest"
)

// number returns a positive number from an environment variable, or usual, a value small enough for CI, if it is unset.
func number(t *testing.T, name string, usual int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s must be a positive number", name)
	}
	return n
}

func TestMain(m *testing.M) { os.Exit(process.Main(m)) }

const metricsToken = "durability"

// start runs the binary with a database; env is added to its environment.
func start(t *testing.T, dataDir, databaseURL string, env ...string) *process.Process {
	t.Helper()
	return process.Start(t, dataDir, append(env, "SECRET_KEY="+storetest.Key, "METRICS_TOKEN="+metricsToken, "DATABASE_URL="+databaseURL, "RATE_LIMIT_MESSAGE=off", "RATE_LIMIT_API=off")...)
}
