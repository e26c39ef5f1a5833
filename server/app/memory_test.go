//go:build unix

package app

import (
	"runtime/debug"
	"testing"

	"golang.org/x/sys/unix"

	"sohbet/models/storetest"
)

func TestMemoryNearItsLimit(t *testing.T) {
	s := open(t, storetest.Open(t, "sqlite"))
	debug.FreeOSMemory() // otherwise what earlier tests left would be returned meanwhile
	used := s.health(t).Checks["memory"].UsedBytes
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(int64(used) + 256<<20))
	// Allocated and freed with mmap, because the garbage collector does not return memory immediately, least under the race detector.
	ballast, err := unix.Mmap(-1, 0, int(used/8)+256<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	for i := range ballast {
		ballast[i] = 1
	}
	found := s.becomes(t, "memory", "warning")
	if found.Status != "degraded" || found.http != 200 || found.Checks["memory"].LastOK == "" {
		t.Errorf("near the limit: %+v", found)
	}
	if err := unix.Munmap(ballast); err != nil {
		t.Fatal(err)
	}
	if found := s.becomes(t, "memory", "ok"); found.Status != "healthy" || found.Checks["memory"].TotalBytes == 0 {
		t.Errorf("with room again: %+v", found)
	}
}
