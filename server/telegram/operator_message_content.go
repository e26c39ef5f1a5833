package telegram

import (
	"fmt"
	"strings"

	tele "gopkg.in/telebot.v3"
)

// shownAs returns the text that represents content other than text and files; "" if there is none.
func shownAs(m *tele.Message) string {
	switch {
	case m.Sticker != nil:
		return m.Sticker.Emoji
	case m.Venue != nil:
		return strings.TrimSpace(m.Venue.Title+"\n"+m.Venue.Address) + "\n" + mapLink(&m.Venue.Location)
	case m.Location != nil:
		return mapLink(m.Location)
	case m.Contact != nil:
		name := strings.TrimSpace(m.Contact.FirstName + " " + m.Contact.LastName)
		return strings.TrimSpace("👤 " + name + "\n" + m.Contact.PhoneNumber)
	case m.Dice != nil && m.Dice.Value > 0:
		return fmt.Sprintf("%s %d", m.Dice.Type, m.Dice.Value)
	}
	return ""
}

// mapLink returns a link to a place on a map (https://wiki.openstreetmap.org/wiki/Browsing#Sharing_a_link_to_the_maps).
func mapLink(l *tele.Location) string {
	return fmt.Sprintf("📍 https://www.openstreetmap.org/?mlat=%.5f&mlon=%.5f#map=17/%.5f/%.5f", l.Lat, l.Lng, l.Lat, l.Lng)
}

// hasContent reports whether a message has content that can be sent to a visitor.
func hasContent(m *tele.Message) bool { return m.Text != "" || fileOf(m) != nil || shownAs(m) != "" }

// unsupported reports whether a message for which [hasContent] is false is of a kind that people write, such as a poll, so that the
// operator is told that it was not sent. It is false for service messages.
func unsupported(m *tele.Message) bool {
	return m.Sticker != nil || m.Poll != nil || m.Game != nil || m.Story != nil
}
