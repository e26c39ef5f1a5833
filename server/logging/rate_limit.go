package logging

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

const (
	window       = time.Minute
	perKind      = 1200 // lines of one kind per window
	perAddress   = 120  // of these, lines about one address
	bytesPerKind = 256 << 10
	perStatement = 50 // failed and slow statements: in an outage of the database each one fails, and the outage has lines of its own
	maxKinds     = 1000
	maxAddresses = 10_000
	maxValue     = 8 << 10 // bytes per attribute
)

// budget limits how many lines of one kind are written, and how many of these about one address, because most lines are caused by
// unauthenticated clients. Excess lines are counted, and one line reports their number.
type budget struct {
	now   func() time.Time
	after func(time.Duration, func()) // time.AfterFunc

	mu       sync.Mutex
	began    time.Time
	kinds    map[string]*counter
	about    map[kindAddress]int
	reporter slog.Handler // receives the counts at the end of the window; nil while no line was left out
}

// statement is the message of GORM's lines about failed and slow statements.
const statement = "SQL executed"

type counter struct{ written, bytes, left int }

type kindAddress struct{ kind, address string }

func newBudget() *budget {
	return &budget{now: time.Now, after: func(d time.Duration, f func()) { time.AfterFunc(d, f) }}
}

// kindOf returns the kind of a line: its message and those attributes that have few, constant values. size is the approximate length of
// the line in bytes.
func kindOf(r slog.Record) (kind, address string, size int) {
	kind, size = r.Message, 100+len(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		if size += 20; a.Value.Kind() == slog.KindString {
			size += min(len(a.Value.String()), maxValue)
		}
		switch a.Key {
		case "address":
			address = a.Value.String()
		case "route", "event", "outcome":
			kind += " " + a.Value.String()
		}
		return true
	})
	return kind, address, size
}

// allows counts a line and reports whether it may be written. next is used to report the number of lines left out.
func (b *budget) allows(r slog.Record, next slog.Handler) bool {
	if r.Level >= LevelNotice {
		return true
	}
	kind, address, size := kindOf(r)
	b.mu.Lock()
	defer b.mu.Unlock()
	if now := b.now(); b.kinds == nil || now.Sub(b.began) >= window || now.Before(b.began) {
		b.report()
		b.began, b.kinds, b.about = now, make(map[string]*counter), make(map[kindAddress]int)
	}
	if b.kinds[kind] == nil && len(b.kinds) >= maxKinds { // too many kinds, which means messages that are not constants
		kind = "other"
	}
	n := b.kinds[kind]
	if n == nil {
		n = &counter{}
		b.kinds[kind] = n
	}
	key := kindAddress{kind, address}
	if address != "" && (b.about[key] > 0 || len(b.about) < maxAddresses) {
		b.about[key]++
	}
	most := perKind
	if r.Message == statement {
		most = perStatement
	}
	if n.written < most && n.bytes < bytesPerKind && b.about[key] <= perAddress {
		n.written++
		n.bytes += size
		return true
	}
	n.left++
	if b.reporter == nil {
		b.reporter = next
		b.after(window-b.now().Sub(b.began), func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.report()
		})
	}
	return false
}

// report writes how many lines of each kind were left out, and resets the counts. The caller holds b.mu.
func (b *budget) report() {
	if b.reporter == nil {
		return
	}
	for kind, n := range b.kinds {
		if n.left == 0 {
			continue
		}
		r := slog.NewRecord(b.now(), slog.LevelWarn, "log lines left out", 0)
		r.AddAttrs(slog.String("kind", kind), slog.Int("lines", n.left), slog.String(Stream, Application))
		_ = b.reporter.Handle(context.Background(), r) // errors are ignored, as by slog.Logger
		n.left = 0
	}
	b.reporter = nil
}

// bounded truncates overlong attributes, such as an error that quotes its input.
func bounded(a slog.Attr) slog.Attr {
	var text string
	switch a.Value.Kind() {
	case slog.KindString:
		text = a.Value.String()
	case slog.KindAny:
		if err, ok := a.Value.Any().(error); ok {
			text = err.Error()
		}
	}
	if len(text) <= maxValue {
		return a
	}
	return slog.String(a.Key, strings.ToValidUTF8(text[:maxValue], "")+"…")
}
