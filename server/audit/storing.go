package audit

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"time"

	"sohbet/models"
	"sohbet/server/auth"
)

// Store stores rows of the audit log.
type Store interface {
	Now() time.Time
	AddAudit(context.Context, []models.AuditEntry) error
}

const (
	maxPending = 10_000          // entries of agents that wait for the database
	maxRefused = 1000            // kinds of refusals that wait for it
	flushEvery = time.Second     // pause between transactions, so that refusals in quick succession cost one
	flushLimit = 5 * time.Second // for one transaction
)

// cut returns a text as its column takes it.
func cut(text string) string {
	runes := []rune(plain(text))
	return string(runes[:min(len(runes), models.MaxAuditText)])
}

// keep queues an entry for storing. What strangers cause is added up, so that a flood of it takes neither memory nor time.
func (l *Log) keep(e Event) {
	if l.store == nil {
		return
	}
	now := l.store.Now()
	row := models.AuditEntry{
		Event: e.Name, Outcome: e.Outcome, AgentID: e.AgentID, Actor: plain(e.Actor), Address: plain(e.Address), Browser: cut(e.Browser),
		Detail:   cut(e.Detail),
		ThreadID: e.ThreadID, AboutAgent: e.AboutAgent, Times: 1, CreatedAt: now, LastAt: now,
		Refusal: e.Outcome != OK || e.Name == CodeAsked, // anyone may ask for a code
	}
	if row.Refusal {
		row.Address = auth.AddressKey(row.Address) // one client may have many addresses of a network
		if row.AgentID == 0 {
			row.Actor = "" // not proven
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue(row)
	l.wake.Set()
}

// queue adds an entry to those that wait for the database. l.mu is held.
func (l *Log) queue(row models.AuditEntry) {
	if !row.Refusal {
		if len(l.pending) >= maxPending {
			l.dropped++
			return
		}
		l.pending = append(l.pending, row)
		return
	}
	key := repetition{row.Event, row.Outcome, row.Address, row.Detail + " " + row.Actor}
	if l.refused[key] == nil && len(l.refused) >= maxRefused {
		row = row.WithoutOrigin()
		key = repetition{name: row.Event, outcome: row.Outcome}
	}
	if known := l.refused[key]; known != nil {
		known.Times += row.Times
		known.LastAt = row.LastAt
		return
	}
	l.refused[key] = &row
}

// Run stores rows as they are written, until ctx ends.
func (l *Log) Run(ctx context.Context) {
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		}
		err := l.flush(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			l.log.Error("failed to store rows of the audit log; retrying", slog.Any("error", err))
		}
		if failing = err != nil; failing {
			l.wake.Set()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(flushEvery):
		}
	}
}

// Close stores what is left. Call it when nothing writes any more, and Run has ended.
func (l *Log) Close() error {
	return l.flush(context.Background())
}

// flush stores the rows that wait. After an error they wait again.
func (l *Log) flush(ctx context.Context) error {
	l.mu.Lock()
	list, refused, dropped := l.pending, l.refused, l.dropped
	l.pending, l.refused, l.dropped = nil, make(map[repetition]*models.AuditEntry), 0
	l.mu.Unlock()
	if dropped > 0 {
		l.log.Error("rows of the audit log were not stored: too many waited for the database", slog.Int("rows", dropped))
	}
	for _, row := range refused {
		list = append(list, *row)
	}
	if len(list) == 0 {
		return nil
	}
	slices.SortStableFunc(list, func(a, b models.AuditEntry) int { return cmp.Compare(a.CreatedAt.UnixNano(), b.CreatedAt.UnixNano()) })
	ctx, cancel := context.WithTimeout(ctx, flushLimit)
	defer cancel()
	err := l.store.AddAudit(ctx, list)
	if err == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	newer := l.pending
	l.pending = nil
	for _, row := range append(list, newer...) {
		l.queue(row)
	}
	return err
}
