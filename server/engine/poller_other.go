//go:build !linux

package engine

import "errors"

// poller exists only on Linux; elsewhere every websocket has a goroutine that waits for it.
type poller struct{}

func newPoller() (*poller, error)   { return nil, errors.ErrUnsupported }
func (*poller) watch(*wsConn) error { return errors.ErrUnsupported }
func (*poller) forget(*wsConn)      {}
func (*poller) stop()               {}
