package logging

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/getsentry/sentry-go"
)

// Sentry reports failures to Sentry, or to a service that speaks its protocol (GlitchTip), as SENTRY_DSN says. What it sends is
// the line of the log, which holds no message, thread id, code or token.
type Sentry struct{ client *sentry.Client }

// flushPatience is how long the last reports may take on their way when the program ends.
const flushPatience = 2 * time.Second

// NewSentry makes a reporter. The error names no part of the DSN, which is a secret.
func NewSentry(dsn, release, environment string) (*Sentry, error) {
	client, err := sentry.NewClient(sentry.ClientOptions{
		Dsn: dsn, Release: "sohbet@" + release, Environment: environment, AttachStacktrace: true,
	})
	if err != nil {
		return nil, fmt.Errorf("SENTRY_DSN holds no usable address: want https://key@host/project")
	}
	return &Sentry{client: client}, nil
}

// Report queues a line; when the queue is full it is left out.
func (s *Sentry) Report(r slog.Record) {
	event := s.client.EventFromMessage(r.Message, sentry.LevelError)
	event.Timestamp = r.Time
	event.Fingerprint = []string{r.Message} // one issue for each kind of failure
	line := make(sentry.Context, r.NumAttrs())
	r.Attrs(func(a slog.Attr) bool {
		line[a.Key] = a.Value.String()
		return true
	})
	event.Contexts["log"] = line
	s.client.CaptureEvent(event, nil, nil)
}

// Close sends what is queued.
func (s *Sentry) Close() {
	s.client.Flush(flushPatience)
	s.client.Close()
}
