// Package hours implements opening hours: times of day by weekday, with other hours on some dates, in a time zone.
package hours

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // containers and Windows have no list of time zones of their own
)

// Week is a week's opening hours. Nil means always open.
type Week struct {
	zone  *time.Location
	spans []span // sorted by day and start
	dates map[string][]span
}

const (
	maxDates   = 400 // dates with hours of their own
	dateLayout = time.DateOnly
	closed     = "closed"
)

// span is an open period that starts on a weekday; if to is less than from it ends on the next day.
type span struct {
	day      time.Weekday
	from, to int // minutes since midnight; to may be 24:00
}

var days = map[string]time.Weekday{
	"sun": time.Sunday, "mon": time.Monday, "tue": time.Tuesday, "wed": time.Wednesday, "thu": time.Thursday, "fri": time.Friday, "sat": time.Saturday,
}

// Parse parses opening hours such as "Europe/Istanbul Mon-Fri 09:00-18:00, Sat 10:00-14:00": a time zone, then comma-separated entries
// of a day or range of days with one or more periods, which may extend past midnight. An entry with a date or range of dates replaces the
// hours of those days: "2026-12-24 09:00-13:00, 2026-12-25..2026-12-31 closed". Its errors describe the expected form and do not quote the
// input.
func Parse(text string) (*Week, error) {
	name, rest, ok := strings.Cut(strings.TrimSpace(text), " ")
	if !ok {
		return nil, errors.New("want a time zone and then days with times, such as Europe/Istanbul Mon-Fri 09:00-18:00, Sat 10:00-14:00")
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, errors.New("want a time zone of the IANA list first, such as Europe/Istanbul or UTC")
	}
	w := &Week{zone: zone, dates: map[string][]span{}}
	for n, part := range strings.Split(rest, ",") {
		if err := w.add(part); err != nil {
			return nil, fmt.Errorf("part %d after the time zone: %w", n+1, err)
		}
	}
	slices.SortFunc(w.spans, func(a, b span) int { return (int(a.day)*24*60 + a.from) - (int(b.day)*24*60 + b.from) })
	return w, nil
}

func (w *Week) add(part string) error {
	words := strings.Fields(part)
	if len(words) < 2 {
		return errors.New("want days and times, such as Mon-Fri 09:00-18:00")
	}
	if words[0][0] >= '0' && words[0][0] <= '9' {
		return w.addDates(words[0], words[1:])
	}
	first, last, ranged := strings.Cut(strings.ToLower(words[0]), "-")
	if !ranged {
		last = first
	}
	from, known := days[first]
	to, too := days[last]
	if !known || !too {
		return errors.New("want a day or a range of days out of Mon Tue Wed Thu Fri Sat Sun, such as Mon-Fri")
	}
	for _, word := range words[1:] {
		s, err := period(word)
		if err != nil {
			return err
		}
		for day := from; ; day = (day + 1) % 7 {
			s.day = day
			w.spans = append(w.spans, s)
			if day == to {
				break
			}
		}
	}
	return nil
}

// addDates adds the hours of a date or a range of dates.
func (w *Week) addDates(dates string, words []string) error {
	first, last, ranged := strings.Cut(dates, "..")
	if !ranged {
		last = first
	}
	from, err := time.Parse(dateLayout, first)
	to, err2 := time.Parse(dateLayout, last)
	if err != nil || err2 != nil || to.Before(from) {
		return errors.New("want a date or a range of dates, such as 2026-12-31 or 2026-12-25..2026-12-31")
	}
	var spans []span
	if len(words) != 1 || words[0] != closed {
		for _, word := range words {
			s, err := period(word)
			if err != nil {
				return errors.New("want times such as 09:00-18:00, or closed")
			}
			spans = append(spans, s)
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return a.from - b.from })
	for day := from; !day.After(to); day = day.AddDate(0, 0, 1) {
		w.dates[day.Format(dateLayout)] = spans
		if len(w.dates) > maxDates {
			return fmt.Errorf("want at most %d dates with hours of their own", maxDates)
		}
	}
	return nil
}

// period parses a period such as "09:00-18:00".
func period(text string) (span, error) {
	begin, end, ok := strings.Cut(text, "-")
	a, first := minute(begin)
	b, second := minute(end)
	if !ok || !first || !second || a == b || a == 24*60 {
		return span{}, errors.New("want times such as 09:00-18:00")
	}
	return span{from: a, to: b}, nil
}

// on returns the periods that begin on a date.
func (w *Week) on(date time.Time) []span {
	if spans, found := w.dates[date.Format(dateLayout)]; found {
		return spans
	}
	var spans []span
	for _, s := range w.spans {
		if s.day == date.Weekday() {
			spans = append(spans, s)
		}
	}
	return spans
}

// minute parses a time of day from "00:00" to "24:00" to minutes since midnight.
func minute(text string) (int, bool) {
	hour, rest, ok := strings.Cut(text, ":")
	h, err := strconv.ParseUint(hour, 10, 8)
	m, err2 := strconv.ParseUint(rest, 10, 8)
	if !ok || err != nil || err2 != nil || len(rest) != 2 || m > 59 || h*60+m > 24*60 {
		return 0, false
	}
	return int(h*60 + m), true
}

// Zone returns the time zone; UTC for nil.
func (w *Week) Zone() *time.Location {
	if w == nil {
		return time.UTC
	}
	return w.zone
}

// Open reports whether a time is within opening hours and, if not, the next opening time.
func (w *Week) Open(at time.Time) (open bool, next time.Time) {
	if w == nil {
		return true, time.Time{}
	}
	here := at.In(w.zone)
	// From yesterday, whose last span may extend past midnight, until a day has an opening time. Every weekday is checked after the dates.
	for ahead := -1; ahead <= 8+len(w.dates) && next.IsZero(); ahead++ {
		year, month, day := here.AddDate(0, 0, ahead).Date()
		for _, s := range w.on(time.Date(year, month, day, 12, 0, 0, 0, w.zone)) {
			// time.Date normalizes local times, so the hours are right on days with a daylight saving change.
			begin, end := time.Date(year, month, day, 0, s.from, 0, 0, w.zone), time.Date(year, month, day, 0, s.to, 0, 0, w.zone)
			if s.to < s.from {
				end = time.Date(year, month, day+1, 0, s.to, 0, 0, w.zone)
			}
			switch {
			case at.Before(begin):
				if next.IsZero() || begin.Before(next) {
					next = begin
				}
			case at.Before(end):
				return true, time.Time{}
			}
		}
	}
	return false, next.UTC()
}
