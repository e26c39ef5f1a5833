// Package engine is an Engine.IO server, protocol revision 4, over HTTP long-polling, WebSocket and the upgrade from the first to the
// second (https://socket.io/docs/v4/engine-io-protocol/).
//
// It guarantees complete, ordered delivery: data given to a connection is sent through one writer and a bounded queue, and received
// packets are handled one at a time. An idle connection uses at most one blocked goroutine and no buffer.
//
// It does not depend on Socket.IO.
package engine

import (
	"log/slog"
	"math"
	"net/http"
	"time"
)

// Defaults of the protocol's timings and of the limits per connection.
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
	// PingInterval is the time between two heartbeats, PingTimeout the time within which a client has to answer one.
	PingInterval, PingTimeout time.Duration
	// UpgradeTimeout is the maximum time from opening an upgrading websocket to its upgrade packet.
	UpgradeTimeout time.Duration
	// BodyTimeout is the maximum time for reading one POST body or one websocket message, and for writing the response to one GET.
	BodyTimeout time.Duration
	// MaxPayload is the maximum size in bytes of one POST body or one websocket message. It is announced to clients.
	MaxPayload int
	// QueueFrames and QueueBytes limit what is queued for a client. A slower client is disconnected.
	QueueFrames, QueueBytes int
	// EarlyPayload replaces MaxPayload for a connection that is not trusted yet ([Conn.Trust]); 0 = MaxPayload.
	EarlyPayload int
	// TotalBytes and AddressBytes limit the bytes held by all connections and by those of one address: received and unhandled data, and
	// data queued for writing. When exceeded, the connections that hold the most are closed. 0 is unlimited.
	TotalBytes, AddressBytes int
	// PacketBurst is how many packets and frames of any kind a connection may send in a burst, PacketEvery the time after which it may
	// send one more. A connection that sends more is closed. A burst of 0 is unlimited.
	PacketBurst int
	PacketEvery time.Duration
	// AddressKey returns the key by which addresses are grouped; nil uses the address itself.
	AddressKey func(string) string
	// DisablePolling and DisableWebsocket disable a transport.
	DisablePolling, DisableWebsocket bool
	// HandOver is the time over which Close spreads the closing of many connections, so that their clients do not reconnect to the
	// other processes all at once. With 0 all are closed at once, which is better if there is no other process.
	HandOver time.Duration
	// CheckOrigin refuses a handshake with 403 by returning false. Nil accepts every origin.
	CheckOrigin func(*http.Request) bool
	// AllowOrigin reports whether a cross-origin page may read responses (CORS). Nil allows none.
	AllowOrigin func(*http.Request) bool
	// RemoteAddr returns the client's address; nil uses the peer's address.
	RemoteAddr func(*http.Request) string
	// Admit decides whether one more connection may be opened, before anything is allocated for it. leave is called once when the
	// connection has ended; if it is nil the response asks the client to retry after wait. Nil admits every connection.
	Admit func(*http.Request) (leave func(), wait time.Duration)
	// Logger receives the reasons for which connections were closed. Nil disables logging.
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
