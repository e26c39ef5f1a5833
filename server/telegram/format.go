package telegram

import (
	"html"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/rivo/uniseg"

	"sohbet/models"
)

// What the Bot API takes, in UTF-16 units after its markup is read.
const (
	maxText    = 4096
	maxCaption = 1024
	maxTopic   = 128 // characters of a topic's name
)

// units is the length of s as Telegram counts it.
func units(s string) int {
	n := 0
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}

// part is one message in Telegram: a body between a heading, of which its first line is bold, and a tag.
type part struct {
	sign, name string // "💬", "Ayşe"
	body       string
	info       string // what is known of the visitor
	tag        string
}

// tagPrefix begins the tag by which an answer finds its thread.
const tagPrefix = "#thread:"

// html is the part in Telegram's HTML.
func (p part) html() string {
	text := p.sign + " <b>" + html.EscapeString(p.name) + "</b>\n"
	if p.body != "" {
		text += html.EscapeString(p.body) + "\n"
	}
	if p.info != "" {
		text += "<i>" + html.EscapeString(p.info) + "</i>\n"
	}
	return text + p.tag
}

// plain is the part without markup.
func (p part) plain() string {
	text := p.sign + " " + p.name + "\n"
	if p.body != "" {
		text += p.body + "\n"
	}
	if p.info != "" {
		text += p.info + "\n"
	}
	return text + p.tag
}

// parts cuts a message into what Telegram takes; first is the room of the first part.
func parts(sign, name, tag, body string, first int) []part {
	frame := units(part{sign: sign, name: name, tag: tag}.plain()) + 1
	var list []part
	for room := first - frame; len(list) == 0 || body != ""; room = maxText - frame {
		var head string
		head, body = cutText(body, max(room, 1))
		list = append(list, part{sign: sign, name: name, body: head, tag: tag})
	}
	return list
}

// cutText takes up to n UTF-16 units from the front of s. It cuts at white space if that is not far, and never inside of what
// a reader takes for one character; only a single one longer than n is cut, between its code points.
func cutText(s string, n int) (head, rest string) {
	if units(s) <= n {
		return s, ""
	}
	end, size, space := 0, 0, 0
	// Not by uniseg.Graphemes, which finds sentences too, in time quadratic in the spaces after a full stop.
	for rest, cluster, state := s, "", -1; rest != ""; {
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		size += units(cluster)
		if size > n {
			break
		}
		end = len(s) - len(rest)
		if strings.TrimSpace(cluster) == "" {
			space = end
		}
	}
	switch {
	case space > end*3/4:
		end = space
	case end == 0:
		for i, r := range s {
			if n -= utf16.RuneLen(r); n < 0 && i > 0 {
				end = i
				break
			}
		}
	}
	return strings.TrimRight(s[:end], " \n\t\r"), s[end:]
}

// topicName is what a thread's topic is called.
func topicName(t models.Thread) string {
	name := strings.Join(strings.Fields(models.VisitorName(t.DisplayName, t.Locale)), " ")
	if runes := []rune(name); len(runes) > maxTopic {
		name = string(runes[:maxTopic-1]) + "…"
	}
	return name
}

// plainTopicName is what a topic is called when Telegram refuses the thread's name.
func plainTopicName(t models.Thread) string {
	return models.VisitorName("", t.Locale) + " " + strconv.FormatInt(t.UserID, 10)
}
