// Package engine is an Engine.IO server, protocol revision 4, over HTTP long-polling, WebSocket and the upgrade from
// the first to the second (https://socket.io/docs/v4/engine-io-protocol/).
//
// It exists because delivery is the product: what a connection is given leaves it complete and in order, through one
// writer and a bounded queue, and what a connection receives is handed on one packet at a time. A connection at rest
// holds one parked goroutine and no buffer.
//
// The Socket.IO library is bound onto it with [Server.Bind]; the package itself knows nothing of Socket.IO.
package engine

import (
	"log/slog"
	"math"
	"net/http"
	"time"
)

// Defaults of the protocol timings and of what one connection may hold.
const (
	DefaultPingInterval   = 25 * time.Second
	DefaultPingTimeout    = 60 * time.Second
	DefaultUpgradeTimeout = 10 * time.Second
	DefaultBodyTimeout    = 20 * time.Second
	DefaultMaxPayload     = 1_000_000
	DefaultQueueFrames    = 16_384
	DefaultQueueBytes     = 8 << 20
)

// Options configure a [Server]. The zero value of every field means its default.
type Options struct {
	// PingInterval is the pause between two heartbeats, PingTimeout the time a client has to answer one.
	PingInterval, PingTimeout time.Duration
	// UpgradeTimeout bounds the time from the opening of an upgrading websocket to its upgrade packet.
	UpgradeTimeout time.Duration
	// BodyTimeout bounds the reading of one POST body or one websocket message, and the writing of the answer to one GET.
	BodyTimeout time.Duration
	// MaxPayload is the most bytes that one POST body or one websocket message may have. It is announced to clients.
	MaxPayload int
	// QueueFrames and QueueBytes bound what waits for a client. A client that falls further behind is cut off.
	QueueFrames, QueueBytes int
	// EarlyPayload is MaxPayload for a connection that has not been trusted yet ([Conn.Trust]); 0 makes no difference.
	EarlyPayload int
	// TotalBytes and AddressBytes bound what all connections, and those of one address, hold together: bytes that have arrived
	// and are not handled yet, and bytes that wait to be written. Beyond it the connections that hold the most are cut. 0 is no bound.
	TotalBytes, AddressBytes int
	// PacketBurst is how many packets and frames of any kind a connection may send at once, PacketEvery the time after which
	// it may send one more. A connection that sends more is closed. A burst of 0 is no bound.
	PacketBurst int
	PacketEvery time.Duration
	// AddressKey gives what counts as one address; nil takes the address itself.
	AddressKey func(string) string
	// DisablePolling and DisableWebsocket take a transport away.
	DisablePolling, DisableWebsocket bool
	// Compression offers permessage-deflate (RFC 7692) to websockets. It costs CPU and memory, so it is off by default.
	Compression bool
	// HandOver is the time over which Close spreads the end of many connections, so that their clients do not all come to the
	// other processes at once. 0 ends them together: where there is no other process, they would only wait.
	HandOver time.Duration
	// CheckOrigin refuses a handshake with 403 by returning false. Nil lets every origin in.
	CheckOrigin func(*http.Request) bool
	// AllowOrigin tells whether a cross-origin page may read answers (CORS). Nil allows none.
	AllowOrigin func(*http.Request) bool
	// RemoteAddr tells the client's address; nil takes it from the connection.
	RemoteAddr func(*http.Request) string
	// Admit says whether one more connection may be opened, and is called before anything is done for it. leave is called
	// once when the connection has ended; when it is nil the client is told to come back after wait. Nil admits everybody.
	Admit func(*http.Request) (leave func(), wait time.Duration)
	// Logger receives why connections were cut. Nil logs nothing.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	setDuration := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	setInt := func(n *int, v int) {
		if *n <= 0 {
			*n = v
		}
	}
	setDuration(&o.PingInterval, DefaultPingInterval)
	setDuration(&o.PingTimeout, DefaultPingTimeout)
	setDuration(&o.UpgradeTimeout, DefaultUpgradeTimeout)
	setDuration(&o.BodyTimeout, DefaultBodyTimeout)
	setInt(&o.MaxPayload, DefaultMaxPayload)
	setInt(&o.QueueFrames, DefaultQueueFrames)
	setInt(&o.QueueBytes, DefaultQueueBytes)
	setInt(&o.EarlyPayload, o.MaxPayload)
	setInt(&o.TotalBytes, math.MaxInt)
	setInt(&o.AddressBytes, math.MaxInt)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.RemoteAddr == nil {
		o.RemoteAddr = func(r *http.Request) string { return r.RemoteAddr }
	}
	if o.AddressKey == nil {
		o.AddressKey = func(address string) string { return address }
	}
	return o
}
