package telegram

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"sohbet/assets/locales"
)

// Grade is the severity of a Finding.
type Grade string

// The grades. Warn means that it works with limitations, Fail that it does not work.
const (
	OK   Grade = "ok"
	Warn Grade = "warn"
	Fail Grade = "fail"
)

// The checks, in the order in which they are made.
const (
	CheckToken   = "token"   // the token is valid, and Telegram is reachable
	CheckClock   = "clock"   // the server's clock agrees with Telegram's
	CheckChat    = "chat"    // the bot is in the chat and may write there
	CheckNumber  = "number"  // TELEGRAM_CHAT_ID is the group's current id
	CheckForum   = "forum"   // the group has topics
	CheckTopics  = "topics"  // the bot may manage topics
	CheckPrivacy = "privacy" // the bot receives all messages
	CheckUpdates = "updates" // updates arrive here, by webhook or polling, and no other program receives them
	CheckSending = "sending" // messages are being sent; only the running server knows
)

// Finding is the result of one check, in the requested language.
type Finding struct {
	Check string
	Grade Grade
	Title string // name of the check
	Text  string // result
	Cure  string // how to fix it; empty if there is nothing to do
}

const (
	doctorTimeout  = 10 * time.Second // for each call
	conflictListen = 3                // seconds; another program that polls makes its next call within that time
	clockWarn      = 15 * time.Second // the Date header has whole seconds, and the response takes time
	clockFail      = 5 * time.Minute
	backlog        = 100 // unfetched updates; Telegram stores them for a day
)

// Doctor checks the configuration of the bot. It changes nothing: unfetched updates stay unfetched.
type Doctor struct {
	APIURL     string // without a trailing slash
	Token      string
	ChatID     int64
	Former     int64            // the id in the settings, if the group became the supergroup ChatID since; else 0
	WebhookURL string           // as configured; empty = polling
	Client     *http.Client     // nil = a new client
	Now        func() time.Time // nil = time.Now

	// Conflict returns when this process, which polls, was last informed that another program polls too; the zero time is never. Nil
	// means that this process does not poll: the doctor then polls briefly itself to detect others.
	Conflict func() time.Time
	// Trouble returns what prevents this process from sending; the zero Problem is nothing. Nil means that this process does not send.
	Trouble func(context.Context) Problem
}

// examination is the state of one run.
type examination struct {
	*Doctor
	lang     string
	findings []Finding
	me       doctorUser
	chat     doctorChat
	member   doctorMember
}

// Examine makes every check for which the preceding ones succeeded. locale is "tr" or "en".
func (d *Doctor) Examine(ctx context.Context, locale string) []Finding {
	own := *d // a copy, because it may switch to another chat id
	e := &examination{Doctor: &own, lang: locale}
	if e.token(ctx) {
		if e.reach(ctx) && e.chat.Type != "private" {
			e.rights(ctx)
		}
		e.updates(ctx)
	}
	if e.Trouble != nil {
		if p := e.Trouble(ctx); p.Reason != "" {
			p = p.in(e.lang)
			e.found(CheckSending, Fail, p.Text, p.Cure)
		}
	}
	return e.findings
}

// text returns a text of the doctor in its language. values replace {1}, {2} and so on.
func (e *examination) text(key string, values ...string) string {
	pairs := make([]string, 0, 2*len(values))
	for i, value := range values {
		pairs = append(pairs, strconv.Itoa(i+1), value)
	}
	return locales.Text(e.lang, "telegram_doctor."+key, pairs...)
}

// clockOff describes how far the local clock is ahead of or behind Telegram's.
func (e *examination) clockOff(off time.Duration) string {
	if off < 0 {
		return e.text("clock_slow", off.Abs().String())
	}
	return e.text("clock_fast", off.String())
}

func (e *examination) found(check string, g Grade, text, cure string) {
	e.findings = append(e.findings, Finding{Check: check, Grade: g, Title: e.text("check_" + check), Text: text, Cure: cure})
}

// token calls getMe, and compares the clocks; false means that no further call can succeed.
func (e *examination) token(ctx context.Context) bool {
	before := e.now()
	date, err := e.ask(ctx, "getMe", nil, &e.me)
	switch {
	case err == nil:
		e.found(CheckToken, OK, e.text("token_good", e.me.Username), "")
		e.clock(before, date)
		return true
	case err.code == http.StatusUnauthorized || err.code == http.StatusNotFound:
		e.found(CheckToken, Fail, e.text("token_bad"), e.text("token_cure"))
	case err.code == 0:
		e.found(CheckToken, Fail, e.text("unreachable", e.host(), err.text), e.text("unreachable_cure"))
	default:
		e.found(CheckToken, Fail, e.text("answers", err.String()), e.text("later"))
	}
	return false
}

// clock compares Telegram's Date header with the local time in the middle of the call.
func (e *examination) clock(before, date time.Time) {
	if date.IsZero() {
		return
	}
	after := e.now()
	off := before.Add(after.Sub(before) / 2).Sub(date).Round(time.Second)
	switch abs := off.Abs(); {
	case abs >= clockFail:
		e.found(CheckClock, Fail, e.clockOff(off), e.text("clock_cure"))
	case abs >= clockWarn:
		e.found(CheckClock, Warn, e.clockOff(off), e.text("clock_cure"))
	default:
		e.found(CheckClock, OK, e.text("clock_good"), "")
	}
}

// followed switches to the id that a group got when it became a supergroup.
func (e *examination) followed(ctx context.Context, to int64) bool {
	e.Former, e.ChatID, e.chat = e.ChatID, to, doctorChat{}
	return e.reach(ctx)
}

// reach checks that the chat exists and is accessible.
func (e *examination) reach(ctx context.Context) bool {
	id := strconv.FormatInt(e.ChatID, 10)
	_, err := e.ask(ctx, "getChat", url.Values{"chat_id": {id}}, &e.chat)
	if err == nil && e.chat.Type == "group" { // a group that became a supergroup can still be read, so only a writing call reveals it
		if _, no := e.ask(ctx, "sendChatAction", url.Values{"chat_id": {id}, "action": {"typing"}}, nil); no != nil && no.movedTo != 0 {
			err = no
		}
	}
	if err != nil && err.movedTo != 0 && e.Former == 0 {
		return e.followed(ctx, err.movedTo)
	}
	if e.Former != 0 {
		e.found(CheckNumber, Warn, e.text("moved", id), e.text("moved_cure", id))
	}
	switch {
	case err == nil && e.chat.Type == "channel":
		e.found(CheckChat, Fail, e.text("channel", e.chat.Title), e.text("channel_cure"))
		return false
	case err == nil:
		name := e.chat.Title
		if name == "" {
			name = e.chat.FirstName
		}
		return e.write(ctx, id, name)
	case err.code == http.StatusForbidden:
		e.found(CheckChat, Fail, e.text("thrown_out", id), e.text("chat_cure"))
	case err.code == http.StatusBadRequest:
		e.found(CheckChat, Fail, e.text("chat_gone", id), e.text("chat_cure"))
	default:
		e.found(CheckChat, Fail, e.text("answers", err.String()), e.text("later"))
	}
	return false
}

// write checks whether the bot may write in the chat, with a call that leaves no message.
func (e *examination) write(ctx context.Context, id, name string) bool {
	_, err := e.ask(ctx, "sendChatAction", url.Values{"chat_id": {id}, "action": {"typing"}}, nil)
	switch {
	case err == nil || err.code == http.StatusTooManyRequests:
		e.found(CheckChat, OK, e.text("chat_good", name, e.text("chat_"+e.chat.Type)), "")
	case err.code == http.StatusBadRequest || err.code == http.StatusForbidden:
		e.found(CheckChat, Fail, e.text("barred", name, err.String()), e.text("barred_cure"))
	default:
		e.found(CheckChat, Fail, e.text("answers", err.String()), e.text("later"))
	}
	return true
}

// rights checks the bot's permissions in a group: topics, and receiving all messages.
func (e *examination) rights(ctx context.Context) {
	query := url.Values{"chat_id": {strconv.FormatInt(e.ChatID, 10)}, "user_id": {strconv.FormatInt(e.me.ID, 10)}}
	if _, err := e.ask(ctx, "getChatMember", query, &e.member); err != nil {
		e.found(CheckTopics, Fail, e.text("answers", err.String()), e.text("later"))
		return
	}
	admin := e.member.Status == "administrator" || e.member.Status == "creator"
	switch {
	case e.member.Status == "left" || e.member.Status == "kicked":
		e.found(CheckTopics, Fail, e.text("outside"), e.text("chat_cure"))
		return
	case !e.chat.IsForum:
		e.found(CheckForum, Warn, e.text("forum_off"), e.text("forum_cure"))
	case !admin || (e.member.Status == "administrator" && !e.member.ManageTopics):
		e.found(CheckForum, OK, e.text("forum_on"), "")
		e.found(CheckTopics, Warn, e.text("topics_barred"), e.text("topics_cure"))
	case e.member.Status == "administrator" && !e.member.DeleteMessages:
		e.found(CheckForum, OK, e.text("forum_on"), "")
		e.found(CheckTopics, Warn, e.text("topics_stay"), e.text("topics_stay_cure"))
	default:
		e.found(CheckForum, OK, e.text("forum_on"), "")
		e.found(CheckTopics, OK, e.text("topics_good"), "")
	}
	switch {
	case admin:
		e.found(CheckPrivacy, OK, e.text("reads_as_admin"), "")
	case e.me.ReadsAll:
		e.found(CheckPrivacy, OK, e.text("reads_all"), "")
	default:
		e.found(CheckPrivacy, Warn, e.text("reads_nothing"), e.text("reads_nothing_cure"))
	}
}

// updates checks whether updates arrive here and nowhere else.
func (e *examination) updates(ctx context.Context) {
	var hook doctorWebhook
	if _, err := e.ask(ctx, "getWebhookInfo", nil, &hook); err != nil {
		e.found(CheckUpdates, Fail, e.text("answers", err.String()), e.text("later"))
		return
	}
	switch {
	case e.WebhookURL != "":
		e.hooked(hook)
	case hook.URL != "":
		e.found(CheckUpdates, Fail, e.text("foreign_hook", hostOf(hook.URL)), e.text("foreign_hook_cure"))
	case e.Conflict != nil:
		if since := e.now().Sub(e.Conflict()); since < 10*time.Minute {
			e.found(CheckUpdates, Fail, e.text("conflict"), e.text("conflict_cure"))
			return
		}
		e.polled(hook)
	default:
		_, err := e.ask(ctx, "getUpdates", url.Values{"timeout": {strconv.Itoa(conflictListen)}, "limit": {"1"}}, nil)
		switch {
		case err == nil:
			e.polled(hook)
		case err.code == http.StatusConflict:
			e.found(CheckUpdates, Warn, e.text("conflict_seen"), e.text("conflict_cure"))
		default:
			e.found(CheckUpdates, Fail, e.text("answers", err.String()), e.text("later"))
		}
	}
}

func (e *examination) polled(hook doctorWebhook) {
	if hook.Pending >= backlog {
		e.found(CheckUpdates, Warn, e.text("piling", strconv.Itoa(hook.Pending)), e.text("piling_cure"))
		return
	}
	e.found(CheckUpdates, OK, e.text("polls"), "")
}

func (e *examination) hooked(hook doctorWebhook) {
	ours, theirs := hostOf(e.WebhookURL), hostOf(hook.URL)
	lately := hook.ErrorAt > 0 && e.now().Sub(time.Unix(hook.ErrorAt, 0)) < 10*time.Minute
	switch {
	case hook.URL == "":
		e.found(CheckUpdates, Fail, e.text("hook_missing"), e.text("hook_missing_cure"))
	case ours != theirs:
		e.found(CheckUpdates, Fail, e.text("hook_elsewhere", theirs, ours), e.text("foreign_hook_cure"))
	case lately:
		e.found(CheckUpdates, Warn, e.text("hook_fails", hook.Error), e.text("hook_fails_cure", ours))
	default:
		e.found(CheckUpdates, OK, e.text("hook_good", ours), "")
	}
}
