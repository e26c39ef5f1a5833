//go:build !unix

package engine

func (w *wsConn) read(on func([]byte) error) error { return w.readBlocking(on) }
