package hours

import (
	"testing"
	"time"
)

func TestOpen(t *testing.T) {
	for _, c := range []struct{ hours, at, next string }{ // next: "" = open
		{"Europe/Istanbul Mon-Fri 09:00-18:00, Sat 10:00-14:00", "2026-01-05T09:00:00+03:00", ""}, // a Monday
		{"Europe/Istanbul Mon-Fri 09:00-18:00, Sat 10:00-14:00", "2026-01-05T08:59:59+03:00", "2026-01-05T09:00:00+03:00"},
		{"Europe/Istanbul Mon-Fri 09:00-18:00, Sat 10:00-14:00", "2026-01-05T18:00:00+03:00", "2026-01-06T09:00:00+03:00"},
		{"Europe/Istanbul Mon-Fri 09:00-18:00, Sat 10:00-14:00", "2026-01-09T20:00:00+03:00", "2026-01-10T10:00:00+03:00"},
		{"Europe/Istanbul Mon-Fri 09:00-18:00, Sat 10:00-14:00", "2026-01-10T14:00:00+03:00", "2026-01-12T09:00:00+03:00"},
		{"Europe/Istanbul Mon-Fri 09:00-18:00, Sat 10:00-14:00", "2026-01-05T15:00:00Z", "2026-01-06T06:00:00Z"},
		{"UTC fri-MON 22:00-02:00", "2026-01-06T01:59:00Z", ""}, // Tuesday morning, in the period that starts on Monday
		{"UTC fri-MON 22:00-02:00", "2026-01-06T02:00:00Z", "2026-01-09T22:00:00Z"},
		{"UTC Wed 00:00-24:00", "2026-01-07T23:59:59Z", ""},
		{"UTC Wed 00:00-24:00", "2026-01-08T00:00:00Z", "2026-01-14T00:00:00Z"},
		{"UTC Wed 09:00-12:00 13:00-18:00", "2026-01-07T12:30:00Z", "2026-01-07T13:00:00Z"},
		{"UTC Wed 13:00-18:00 09:00-12:00", "2026-01-07T08:00:00Z", "2026-01-07T09:00:00Z"},
		// Daylight saving time starts at 02:00 and ends at 03:00.
		{"Europe/Berlin Sun 09:00-10:00", "2026-03-29T06:59:59Z", "2026-03-29T07:00:00Z"},
		{"Europe/Berlin Sun 09:00-10:00", "2026-10-25T08:59:59Z", ""},
		{"Europe/Berlin Sun 09:00-10:00", "2026-10-25T09:00:00Z", "2026-11-01T08:00:00Z"},
		// Dates with hours of their own.
		{"UTC Mon-Fri 09:00-18:00, 2026-01-06 closed", "2026-01-06T10:00:00Z", "2026-01-07T09:00:00Z"},
		{"UTC Mon-Fri 09:00-18:00, 2026-01-06..2026-01-09 closed", "2026-01-05T18:00:00Z", "2026-01-12T09:00:00Z"},
		{"UTC Mon-Fri 09:00-18:00, 2026-01-06..2026-06-30 closed", "2026-01-05T18:00:00Z", "2026-07-01T09:00:00Z"},
		{"UTC Mon-Fri 09:00-18:00, 2026-01-06 10:00-13:00", "2026-01-06T12:59:00Z", ""},
		{"UTC Mon-Fri 09:00-18:00, 2026-01-06 10:00-13:00", "2026-01-06T09:30:00Z", "2026-01-06T10:00:00Z"},
		{"UTC Mon-Fri 09:00-18:00, 2026-01-06 10:00-13:00", "2026-01-06T13:00:00Z", "2026-01-07T09:00:00Z"},
		{"UTC Mon 22:00-02:00, 2026-01-06 closed", "2026-01-06T01:00:00Z", ""}, // the period that began the day before
		{"Europe/Istanbul Mon-Sun 00:00-24:00, 2026-01-06 closed", "2026-01-05T22:00:00Z", "2026-01-06T21:00:00Z"},
	} {
		w, err := Parse(c.hours)
		if err != nil {
			t.Fatalf("%s: %v", c.hours, err)
		}
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		open, next := w.Open(at)
		if open != (c.next == "") {
			t.Errorf("%s at %s: open %v", c.hours, c.at, open)
		}
		if want, _ := time.Parse(time.RFC3339, c.next); !open && !next.Equal(want) {
			t.Errorf("%s at %s: opens %v, want %v", c.hours, c.at, next, want)
		}
	}
	if open, _ := (*Week)(nil).Open(time.Now()); !open {
		t.Error("without hours it is always open")
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"", "Europe/Istanbul", "Mon-Fri 09:00-18:00", "Local Mon 09:00-10:00", "../etc/passwd Mon 09:00-10:00", "Europe/Istanbul Mon",
		"UTC Mon 9-18", "UTC Mon 09:00", "UTC Mon 09:00-09:00", "UTC Mon 09:60-10:00", "UTC Mon 24:00-01:00", "UTC Mon 09:00-24:01",
		"UTC Mon 9:0-10:00", "UTC Pzt 09:00-10:00", "UTC Mon-Fri 09:00-18:00,", "UTC Mon-Fri-Sun 09:00-18:00", "UTC Mon -1:00-10:00",
		"UTC Mon 09:00-10:00, 2026-02-30 closed", "UTC Mon 09:00-10:00, 2026-01-02..2026-01-01 closed", "UTC Mon 09:00-10:00, 2026-01-01 shut",
		"UTC Mon 09:00-10:00, 2026-01-01", "UTC Mon 09:00-10:00, 2026-01-01 closed 09:00-10:00", "UTC Mon 09:00-10:00, 2026-01-01..2028-01-01 closed",
	} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
