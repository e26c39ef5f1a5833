package engine

// blockingReadSize is the buffer size of a connection that has no readability events: TLS, a test's pipe, Windows.
const blockingReadSize = 4 << 10

func (w *wsConn) readBlocking(on func([]byte) error) error {
	buf := make([]byte, blockingReadSize)
	for {
		n, err := w.nc.Read(buf)
		if n > 0 {
			if err := on(buf[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}
