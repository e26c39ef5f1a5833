// Package broker connects the processes that serve one chat: what one process publishes reaches the members of rooms on all of them, a
// thread's messages in the order of their ids; presence, cache invalidation and rate limits are shared.
//
// [Memory] is for a single process, [Redis] for several. With Redis no data is lost: messages are in the database, and a process that
// missed one detects that by the ids and reads it from there.
package broker

import (
	"context"
	"time"

	"sohbet/server/realtime"
)

// Delivery is a publication for the members of rooms on all processes.
type Delivery struct {
	realtime.Publication
	Thread string // id of the thread it is about; "" for none
	// ID is the id of the message that it announces, 0 if none, and Follows the id of the previous message in the thread, or -1 if that
	// is unknown and the message may have been announced before.
	ID, Follows int64
	// Rev is the thread's revision after the change that it announces, 0 if unknown. After an outage it is not sent if the thread has
	// changed since; clients refetch their state then.
	Rev int64
	// State means that it announces the state of the thread at Rev, either to the members of First or to those of Second, and is not
	// delivered to them after a newer one. ID is 0.
	State bool
	// Presence is the version of the change if the publication announces that the thread's visitor is online, and the negative version if
	// it announces that the visitor is offline; otherwise 0.
	Presence int64
	Done     func() // called when it has been delivered on this process; may be nil
}

func (d *Delivery) done() { call(d.Done) }

func call(fn func()) {
	if fn != nil {
		fn()
	}
}

// Local is the process that a broker connects to the others.
type Local struct {
	Sockets  *realtime.Server
	Store    Store
	Visitors Visitors
	// Watched reports whether this process has clients that are told who is online; nil = it may have.
	Watched func() bool
	// Backfill returns the deliveries of a thread's messages with after < id <= upTo, oldest first and at most limit, and whether there
	// are more.
	Backfill func(ctx context.Context, thread string, after, upTo int64, limit int) (found []Delivery, more bool, err error)
}

// Store is the part of models.Store that a broker uses.
type Store interface {
	// Flush returns when everything that this process committed before has been published.
	Flush(ctx context.Context) error
	NewestID(ctx context.Context) (int64, error)
	// NewestIDs returns the id of the newest message of each thread that has one with an id greater than after.
	NewestIDs(ctx context.Context, after int64) (map[string]int64, error)
	// Revisions returns the current revisions of threads; those that are not stored are left out.
	Revisions(ctx context.Context, threads []string) (map[string]int64, error)
	// Forget evicts a thread from the cache, ForgetAll every thread.
	Forget(thread string)
	ForgetAll()
}

// Visitors is the part of chat.Service that a broker uses.
type Visitors interface {
	// VisitorsHere lists the threads whose visitors are online at this process, or only those with a connection now.
	VisitorsHere(connected bool) []string
	// VisitorHere reports whether a thread's visitor is online at this process, and connected now.
	VisitorHere(thread string) (online, connected bool)
	// Announce announces that the visitors of threads are online or offline since a version: to the clients of all processes, or with
	// local to those of this one.
	Announce(ctx context.Context, threads []string, online bool, version int64, local bool)
	// Resync asks the clients of this process to refetch all state other than messages, because announcements may have been lost.
	Resync()
}

// Limiter is a rate limiter that processes can share.
type Limiter interface {
	// OnSpent sets the function to call with every spent token of a key, with negative n for a refund.
	OnSpent(spent func(key string, n int))
	// Raise records that a key will be fully refilled only after a time, because of tokens spent on other processes.
	Raise(key string, left time.Duration)
	// Rate returns the time after which one token is refilled, and all of them.
	Rate() (every, span time.Duration)
}
