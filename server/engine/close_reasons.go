package engine

import "github.com/gobwas/ws"

// Closing is the reason for which a connection is closed.
//
// Reason is for server code and logs, in the terms of the Socket.IO documentation where it has one
// (https://socket.io/docs/v4/server-socket-instance/#disconnect). Code is the websocket close code (RFC 6455 §7.4): 1012 and 1013 ask
// the client to reconnect, 1002, 1007, 1008 and 1009 mean that a retry would fail too.
type Closing struct {
	Reason string
	Code   ws.StatusCode
}

// The reasons for closing a connection.
var (
	ClosedByClient   = Closing{"transport close", ws.StatusNormalClosure}
	ClosedTransport  = Closing{"transport error", ws.StatusGoingAway}
	ClosedHeartbeat  = Closing{"ping timeout", ws.StatusGoingAway}
	ClosedByServer   = Closing{"forced close", ws.StatusNormalClosure}
	ClosedRestart    = Closing{"server shutting down", 1012}
	ClosedSlow       = Closing{"slow client", 1013}
	ClosedParse      = Closing{"parse error", ws.StatusProtocolError}
	ClosedText       = Closing{"parse error", ws.StatusInvalidFramePayloadData}
	ClosedTooBig     = Closing{"payload too big", ws.StatusMessageTooBig}
	ClosedMemory     = Closing{"too much memory", 1013}
	ClosedFlood      = Closing{"rate limit", ws.StatusPolicyViolation}
	ClosedFailure    = Closing{"server error", ws.StatusInternalServerError}
	ClosedOverlap    = Closing{"overlapping requests", ws.StatusPolicyViolation}
	ClosedSlowBody   = Closing{"body timeout", ws.StatusPolicyViolation}
	closedTransition = Closing{"upgrade failed", ws.StatusPolicyViolation}
)
