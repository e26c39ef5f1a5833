// Package hours knows when a shop is open: times of day by weekday, in the shop's own time zone.
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

// Week is a week's opening hours. Nil is always open.
type Week struct {
	zone  *time.Location
	spans []span // by day and beginning
}

// span is from one minute of a day to another; one that ends before it begins goes on into the next day.
type span struct {
	day      time.Weekday
	from, to int // minutes since midnight; to may be 24:00
}

var days = map[string]time.Weekday{
	"sun": time.Sunday, "mon": time.Monday, "tue": time.Tuesday, "wed": time.Wednesday, "thu": time.Thursday, "fri": time.Friday, "sat": time.Saturday,
}

// Parse reads "Europe/Istanbul Mon-Fri 09:00-18:00, Sat 10:00-14:00": a time zone, and with commas between them a day or a range
// of days with one or more times, which may reach beyond midnight. Its errors say what would be right and quote nothing.
func Parse(text string) (*Week, error) {
	name, rest, ok := strings.Cut(strings.TrimSpace(text), " ")
	if !ok {
		return nil, errors.New("want a time zone and then days with times, such as Europe/Istanbul Mon-Fri 09:00-18:00, Sat 10:00-14:00")
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, errors.New("want a time zone of the IANA list first, such as Europe/Istanbul or UTC")
	}
	w := &Week{zone: zone}
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
		begin, end, ok := strings.Cut(word, "-")
		a, first := minute(begin)
		b, second := minute(end)
		if !ok || !first || !second || a == b || a == 24*60 {
			return errors.New("want times such as 09:00-18:00")
		}
		for day := from; ; day = (day + 1) % 7 {
			w.spans = append(w.spans, span{day, a, b})
			if day == to {
				break
			}
		}
	}
	return nil
}

// minute reads "09:30", at most "24:00".
func minute(text string) (int, bool) {
	hour, rest, ok := strings.Cut(text, ":")
	h, err := strconv.ParseUint(hour, 10, 8)
	m, err2 := strconv.ParseUint(rest, 10, 8)
	if !ok || err != nil || err2 != nil || len(rest) != 2 || m > 59 || h*60+m > 24*60 {
		return 0, false
	}
	return int(h*60 + m), true
}

// Zone is the shop's time zone; UTC if nobody has said.
func (w *Week) Zone() *time.Location {
	if w == nil {
		return time.UTC
	}
	return w.zone
}

// Open reports whether it is open at a time, and if not, when it opens next.
func (w *Week) Open(at time.Time) (open bool, next time.Time) {
	if w == nil {
		return true, time.Time{}
	}
	here := at.In(w.zone)
	for ahead := -1; ahead <= 8; ahead++ { // yesterday's last span may go on; a week later everything has come round
		year, month, day := here.AddDate(0, 0, ahead).Date()
		weekday := time.Date(year, month, day, 12, 0, 0, 0, w.zone).Weekday()
		for _, s := range w.spans {
			if s.day != weekday {
				continue
			}
			// Through time.Date, so that a day on which the clock is turned has its hours all the same.
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
