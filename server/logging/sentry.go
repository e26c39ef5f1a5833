package logging

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/getsentry/sentry-go"
)

// Sentry reports errors to Sentry, or to a service with the same protocol (GlitchTip), configured by SENTRY_DSN. It sends log lines,
// which contain no message, thread id, code or token.
type Sentry struct{ client *sentry.Client }

// flushPatience is how long pending reports may take when the program ends.
const flushPatience = 2 * time.Second

// NewSentry returns a reporter. Its error does not contain the DSN, which is a secret.
func NewSentry(dsn, release, environment string) (*Sentry, error) {
	client, err := sentry.NewClient(sentry.ClientOptions{
		Dsn: dsn, Release: "sohbet@" + release, Environment: environment, AttachStacktrace: true,
	})
	if err != nil {
		return nil, fmt.Errorf("SENTRY_DSN is not valid: want https://key@host/project")
	}
	return &Sentry{client: client}, nil
}

// Report queues a line; it is dropped if the queue is full.
func (s *Sentry) Report(r slog.Record) {
	event := s.client.EventFromMessage(r.Message, sentry.LevelError)
	event.Timestamp = r.Time
	event.Fingerprint = []string{r.Message} // one Sentry issue per kind of error
	line := make(sentry.Context, r.NumAttrs())
	r.Attrs(func(a slog.Attr) bool {
		line[a.Key] = a.Value.String()
		return true
	})
	event.Contexts["log"] = line
	s.client.CaptureEvent(event, nil, nil)
}

// Close sends the queued lines.
func (s *Sentry) Close() {
	s.client.Flush(flushPatience)
	s.client.Close()
}
