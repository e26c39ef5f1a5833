package telegram

import (
	"html"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"sohbet/models"
	"sohbet/models/names"
)

// Limits of the Bot API in UTF-16 units, after parsing markup.
const (
	maxText    = 4096
	maxCaption = 1024
	maxTopic   = 128 // characters of a topic's name
)

// units returns the length of s in UTF-16 units, as counted by Telegram.
func units(s string) int {
	n := 0
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}

// part is one Telegram message: a bold heading, a body, details and a tag.
type part struct {
	sign, name string // "💬", "Ayşe"
	body       string
	info       string // details about the visitor
	tag        string
}

// tagPrefix begins the tag that identifies the thread for replies.
const tagPrefix = "#thread:"

// html returns the part in Telegram's HTML.
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

// plain returns the part without markup.
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

// parts splits a message into parts of Telegram's maximum length; first is the maximum length of the first part.
func parts(sign, name, tag, body string, first int) []part {
	frame := units(part{sign: sign, name: name, tag: tag}.plain()) + 1
	var list []part
	for service := first - frame; len(list) == 0 || body != ""; service = maxText - frame {
		var head string
		head, body = cutText(body, max(service, 1))
		list = append(list, part{sign: sign, name: name, body: head, tag: tag})
	}
	return list
}

// cutText splits off up to n UTF-16 units from the front of s. It splits at nearby white space if possible, and never inside a grapheme
// cluster; only a single cluster longer than n is split, between code points.
func cutText(s string, n int) (head, rest string) {
	if units(s) <= n {
		return s, ""
	}
	end, size, space := 0, 0, 0
	// Not with uniseg.Graphemes, which also finds sentences, in time quadratic in the number of spaces after a full stop.
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

// topicName returns the visitor's name as that of a topic.
func topicName(t models.Thread) string {
	return topicPart(names.OfVisitor(t.DisplayName, t.Locale), maxTopic)
}

// topicPart returns a text as one line of at most n characters.
func topicPart(text string, n int) string {
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > n {
		text = string(runes[:n-1]) + "…"
	}
	return text
}

// topicTitle returns the name of a thread's topic.
func (b *Bridge) topicTitle(t models.Thread) string {
	assignee := ""
	if b.topicAssignees {
		assignee = b.assignee(t)
	}
	if assignee == "" {
		return topicName(t)
	}
	suffix := " → " + topicPart(assignee, maxTopic/3)
	return topicPart(topicName(t), maxTopic-utf8.RuneCountInString(suffix)) + suffix
}

// plainTopicName returns the name of a topic if Telegram refuses the thread's name.
func plainTopicName(t models.Thread) string {
	return names.OfVisitor("", t.Locale) + " " + strconv.FormatInt(t.UserID, 10)
}

// oneLine converts a text to one line of at most n UTF-16 units.
func oneLine(text string, n int) string {
	head, rest := cutText(strings.Join(strings.Fields(text), " "), n-1)
	if rest != "" {
		head += "…"
	}
	return head
}
