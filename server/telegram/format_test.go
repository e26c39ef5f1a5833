package telegram

import (
	"strings"
	"testing"
	"time"

	"sohbet/models"
)

// TestCutTextIsLinear compares the time for the longest hostile messages with that for half their length.
func TestCutTextIsLinear(t *testing.T) {
	cost := func(body string) time.Duration {
		start := time.Now()
		cutText(body, units(body)-1)
		return time.Since(start)
	}
	const enough = 20 * time.Millisecond // below this time the ratio is not checked
	for _, head := range []string{"", "a", ".", "\""} {
		for _, unit := range []string{"a", " ", "\n", ".", "'", "\"", ")", "1", "👍", "👍\u200d", "🇹", "\u0301", "\u200d", "a'", "1.", "ำ", "क्"} {
			count := (models.MaxContentText - len(head)) / len([]rune(unit))
			long, half := head+strings.Repeat(unit, count), head+strings.Repeat(unit, count/2)
			most, least := cost(long), time.Hour
			for range 7 {
				if most < enough {
					break
				}
				least, most = min(least, cost(half)), min(most, cost(long))
			}
			if most >= enough && most > least*32/10 {
				t.Fatalf("%q and many %q: half of them took %v, all %v", head, unit, least, most)
			}
		}
	}
}
