package assets

import (
	"strconv"
	"strings"

	"sohbet/assets/locales"
)

// teamLine says when an answer may be expected; "" if that is unknown. js/visitor/team-status.js does the same once it runs, and adds
// the time of opening, which depends on the visitor's time zone.
func teamLine(locale string, t Team) string {
	say := func(key string) string {
		s, _ := locales.Lookup(locale, "visitor."+key)
		return s
	}
	switch {
	case t.Away && t.Hours:
		return say("closed")
	case t.Away:
		return say("state_away")
	case t.UsualSeconds == nil:
		return ""
	}
	minutes := max(1, ceil(int(*t.UsualSeconds), 60))
	rounded := minutes
	if rounded > 10 {
		rounded = ceil(rounded, 5) * 5
	}
	switch hours := ceil(minutes, 60); {
	case rounded < 60:
		return counted(say, "usual_minutes", rounded)
	case hours < 24:
		return counted(say, "usual_hours", hours)
	}
	return say("usual_day")
}

func ceil(n, by int) int { return (n + by - 1) / by }

// counted returns the text for a number, with the number inserted. The plural rule "one or other" suits both languages.
func counted(say func(string) string, key string, n int) string {
	form := "_other"
	if n == 1 {
		form = "_one"
	}
	return strings.ReplaceAll(say(key+form), "{n}", strconv.Itoa(n))
}
