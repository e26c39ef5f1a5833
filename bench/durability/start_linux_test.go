package durability

import (
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"sohbet/bench/process"
	"sohbet/models/storetest"
)

// TestStart limits what a start takes. The limits are several times what a start takes on a busy machine, so that they find only what
// makes it heavier by a multiple, such as work in package initialization.
func TestStart(t *testing.T) {
	if code, said := process.Run(t, t.TempDir(), nil, "version"); code != 0 { // and build the binary before time counts
		t.Fatalf("version: %d, %s", code, said)
	}
	for _, dialect := range storetest.Dialects {
		t.Run(dialect, func(t *testing.T) {
			dir, url := t.TempDir(), ""
			if dialect == "postgres" {
				url = storetest.Options(t, dialect).URL
			}
			for _, database := range []string{"new", "existing"} {
				began := time.Now()
				server := start(t, dir, url)
				res, err := http.Get("http://" + server.Addr + "/")
				if err != nil {
					t.Fatal(err)
				}
				_ = res.Body.Close()
				page := time.Since(began)
				if res.StatusCode != http.StatusOK {
					t.Errorf("%s database: status %d", database, res.StatusCode)
				}
				time.Sleep(500 * time.Millisecond) // background workers have begun
				peak, resident := server.Peak()>>20, server.Memory()>>20
				info, err := os.Stat(fmt.Sprintf("/proc/%d/exe", server.ID()))
				if err != nil {
					t.Fatal(err)
				}
				server.Stop()
				cpu := server.CPU()
				t.Logf("%s database: page after %s, %s of CPU, peak of %d MiB, %d MiB resident; binary of %d MiB", database, page.Round(time.Millisecond), cpu, peak, resident, info.Size()>>20)
				if page > 10*time.Second || cpu > 3*time.Second || peak > 250 || resident > 200 || info.Size() > 150<<20 {
					t.Errorf("a start with a %s database is too heavy, see the log above", database)
				}
			}
		})
	}
}
