//go:build !unix

package engine

func (w *wsConn) read(on func([]byte) error) error { return w.readBlocking(on) }

// try writes nothing: only a goroutine that may wait can write here.
func (w *wsConn) try([]byte) int { return 0 }
