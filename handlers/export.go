package handlers

import (
	"cmp"
	"encoding/json"
	"mime"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/labstack/echo/v4"

	"sohbet/assets"
	"sohbet/assets/locales"
	"sohbet/server/apperr"
	"sohbet/server/chat"
)

// Export sends a whole thread as a downloadable file: {"thread_id", "format": "text" or "json", "notes": true to include internal
// notes}. The text is in the language of the request, with times in "time_zone" (an IANA name; default is the time zone of the opening
// hours).
func (a *API) Export(c echo.Context) error {
	var in struct {
		ThreadID string `json:"thread_id" form:"thread_id"`
		Format   string `json:"format" form:"format"`
		Notes    bool   `json:"notes" form:"notes"`
		TimeZone string `json:"time_zone" form:"time_zone"`
	}
	if err := decode(c, &in); err != nil {
		return err
	}
	zone, err := time.LoadLocation(in.TimeZone)
	switch {
	case in.ThreadID == "":
		return errMissing
	case in.Format != "text" && in.Format != "json":
		return apperr.Invalid("", "format must be text or json.")
	case err != nil || in.TimeZone == "Local":
		return apperr.Invalid("", "time_zone must be a name such as Europe/Istanbul.")
	case in.TimeZone == "":
		zone = a.look.Load().Zone
	}
	ctx, actor := c.Request().Context(), a.agentActor(c)
	thread, err := a.Chat.Export(ctx, actor, in.ThreadID)
	if err != nil {
		return err
	}
	var notes []chat.Note
	if in.Notes {
		if notes, err = a.Chat.Notes(ctx, actor, in.ThreadID, false); err != nil {
			return err
		}
	}
	form, ending := jsonExport(thread, notes, in.Notes), ".json"
	if in.Format == "text" {
		lang := assets.Locale(c.Request(), a.look.Load().Locale)
		say := func(key string) string { return locales.Text(lang, "export."+key) }
		form, ending = (&textExport{thread: thread, notes: notes, team: cmp.Or(a.look.Load().Brand.Agent, say("team")), zone: zone, say: say}).transcript(), ".txt"
	}
	name := fileName(thread.DisplayName) + " " + time.Time(thread.CreatedAt).In(zone).Format("2006-01-02") + ending
	// FormatMediaType writes filename*=utf-8''… (RFC 5987) for non-ASCII names.
	c.Response().Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	return a.streamMessages(c, in.ThreadID, form)
}

// fileName removes characters that some operating systems do not allow in file names.
func fileName(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || strings.ContainsRune(`/\:*?"<>|`, r) || unicode.Is(unicode.Bidi_Control, r) {
			return ' '
		}
		return r
	}, name)
	name = strings.Trim(strings.Join(strings.Fields(name), " "), ". ")
	if runes := []rune(name); len(runes) > 60 {
		name = strings.TrimSpace(string(runes[:60]))
	}
	if name == "" {
		name = "Sohbet"
	}
	return name
}

// jsonExport is {"thread", "messages", "notes"}; notes are only included on request.
func jsonExport(thread chat.ThreadView, notes []chat.Note, withNotes bool) transcript {
	head, err := json.Marshal(thread)
	tail := []byte("]}\n")
	if withNotes {
		var list []byte
		if list, err = json.Marshal(notes); err == nil {
			tail = append(append([]byte(`],"notes":`), list...), "}\n"...)
		}
	}
	form := jsonMessages(`{"thread":`+string(head)+`,"messages":[`, string(tail))
	inner := form.message
	form.message = func(buffer []byte, m chat.Message) ([]byte, error) {
		if err != nil {
			return nil, err
		}
		return inner(buffer, m)
	}
	return form
}

// textExport writes a thread as readable text. Lines of a message after the first are indented, so that its text cannot be mistaken for
// the start of another message.
type textExport struct {
	thread chat.ThreadView
	notes  []chat.Note // notes not written yet
	team   string
	zone   *time.Location
	say    func(key string) string
	day    string // date of the last line
}

func (t *textExport) transcript() transcript {
	head := []byte("\ufeff" + t.say("title") + ": " + t.thread.DisplayName + "\n") // a byte order mark, so that old editors detect UTF-8
	for _, f := range []struct{ key, value string }{
		{"phone", t.thread.PhoneNumber}, {"email", t.thread.Email}, {"page", t.thread.PageURL}, {"rating", t.rating()}, {"times", t.zone.String()},
	} {
		if f.value != "" {
			head = append(head, t.say(f.key)+": "+indented(f.value)+"\n"...)
		}
	}
	return transcript{
		contentType: "text/plain; charset=utf-8", head: head,
		message: func(buffer []byte, m chat.Message) ([]byte, error) {
			buffer = t.notesBefore(buffer, m.ID)
			who := t.team
			if m.Agent != nil {
				who = m.Agent.Name
			}
			switch m.SenderType {
			case string(chat.Visitor):
				who = t.thread.DisplayName
			case string(chat.System):
				who = t.say("system")
			}
			text := m.ContentText
			if m.FileURL != "" {
				name := m.Name
				if name == "" {
					name = m.FileURL
				}
				text = strings.TrimSpace("[" + t.say("kind_"+m.ContentType) + ": " + name + "]\n" + text)
			}
			if m.EditedAt != nil {
				text += " (" + t.say("edited") + ")"
			}
			return t.line(buffer, m.CreatedAt, who, text), nil
		},
		tail: func(buffer []byte) []byte { return t.notesBefore(buffer, -1) },
	}
}

func (t *textExport) rating() string {
	if t.thread.Rating == 0 {
		return ""
	}
	return strings.TrimSpace(strconv.FormatInt(t.thread.Rating, 10) + "/5 " + t.thread.RatingComment)
}

// notesBefore writes the notes that precede a message, or with id -1 all remaining ones.
func (t *textExport) notesBefore(buffer []byte, id int64) []byte {
	for len(t.notes) > 0 && (id < 0 || t.notes[0].AfterID < id) {
		n := t.notes[0]
		t.notes = t.notes[1:]
		buffer = t.line(buffer, n.CreatedAt, t.say("note")+" ("+n.Author+")", n.Text)
	}
	return buffer
}

func (t *textExport) line(buffer []byte, at chat.Time, who, text string) []byte {
	local := time.Time(at).In(t.zone)
	if day := local.Format("2006-01-02"); day != t.day {
		t.day = day
		buffer = append(buffer, "\n"+day+"\n"...)
	}
	return append(buffer, local.Format("15:04")+" "+indented(who)+": "+indented(text)+"\n"...)
}

var lineBreaks = strings.NewReplacer("\r\n", "\n      ", "\n", "\n      ", "\r", "\n      ", "\u2028", "\n      ", "\u2029", "\n      ", "\u0085", "\n      ", "\v", "\n      ", "\f", "\n      ")

func indented(text string) string { return lineBreaks.Replace(text) }
