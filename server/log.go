package server

import (
	"io"
	"log/slog"
	"time"

	"sohbet/server/auth"
)

// NewLogger writes text lines for people, or JSON for machines, in UTC.
func NewLogger(w io.Writer, level slog.Leveler, json bool) *slog.Logger {
	if json {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: named("2006-01-02T15:04:05.000Z")}))
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: named(time.TimeOnly)}))
}

// named writes times in the layout and gives the level above error its name.
func named(layout string) func([]string, slog.Attr) slog.Attr {
	return func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) > 0 {
			return a
		}
		switch v := a.Value.Any().(type) {
		case time.Time:
			if a.Key == slog.TimeKey {
				return slog.String(a.Key, v.UTC().Truncate(time.Millisecond).Format(layout))
			}
		case slog.Level:
			if v == auth.LevelNotice {
				return slog.String(a.Key, "NOTICE")
			}
		}
		return a
	}
}
