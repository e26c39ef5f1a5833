package disk

import "os"

const syncEvery = 4 << 20 // bytes

// Gradual writes a large file that becomes durable part by part: while much is written at once at the end, the database's commits on the
// same disk wait.
type Gradual struct {
	File    *os.File
	written int
}

// Write writes b to the file.
func (g *Gradual) Write(b []byte) (int, error) {
	n, err := g.File.Write(b)
	if g.written += n; err == nil && g.written >= syncEvery {
		g.written = 0
		err = g.File.Sync()
	}
	return n, err
}
