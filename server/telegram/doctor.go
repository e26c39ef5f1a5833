package telegram

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
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
	say      *doctorTexts
	findings []Finding
	me       doctorUser
	chat     doctorChat
	member   doctorMember
}

// Examine makes every check for which the preceding ones succeeded. locale is "tr" or "en".
func (d *Doctor) Examine(ctx context.Context, locale string) []Finding {
	own := *d // a copy, because it may switch to another chat id
	e := &examination{Doctor: &own, say: textsOf(locale)}
	if e.token(ctx) {
		if e.reach(ctx) && e.chat.Type != "private" {
			e.rights(ctx)
		}
		e.updates(ctx)
	}
	if e.Trouble != nil {
		if p := e.Trouble(ctx); p.Reason != "" {
			p = p.in(e.say.lang)
			e.found(CheckSending, Fail, p.Text, p.Cure)
		}
	}
	return e.findings
}

// Worst returns the most severe grade among findings.
func Worst(findings []Finding) Grade {
	worst := OK
	for _, f := range findings {
		if f.Grade == Fail || (f.Grade == Warn && worst == OK) {
			worst = f.Grade
		}
	}
	return worst
}

func (e *examination) found(check string, g Grade, text, cure string) {
	e.findings = append(e.findings, Finding{Check: check, Grade: g, Title: e.say.titles[check], Text: text, Cure: cure})
}

// token calls getMe, and compares the clocks; false means that no further call can succeed.
func (e *examination) token(ctx context.Context) bool {
	before := e.now()
	date, err := e.ask(ctx, "getMe", nil, &e.me)
	switch {
	case err == nil:
		e.found(CheckToken, OK, fill(e.say.tokenGood, e.me.Username), "")
		e.clock(before, date)
		return true
	case err.code == http.StatusUnauthorized || err.code == http.StatusNotFound:
		e.found(CheckToken, Fail, e.say.tokenBad, e.say.tokenCure)
	case err.code == 0:
		e.found(CheckToken, Fail, fill(e.say.unreachable, e.host(), err.text), e.say.unreachableCure)
	default:
		e.found(CheckToken, Fail, fill(e.say.answers, err.String()), e.say.later)
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
		e.found(CheckClock, Fail, e.say.clockOff(off), e.say.clockCure)
	case abs >= clockWarn:
		e.found(CheckClock, Warn, e.say.clockOff(off), e.say.clockCure)
	default:
		e.found(CheckClock, OK, e.say.clockGood, "")
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
		e.found(CheckNumber, Warn, fill(e.say.moved, id), fill(e.say.movedCure, id))
	}
	switch {
	case err == nil && e.chat.Type == "channel":
		e.found(CheckChat, Fail, fill(e.say.channel, e.chat.Title), e.say.channelCure)
		return false
	case err == nil:
		name := e.chat.Title
		if name == "" {
			name = e.chat.FirstName
		}
		return e.write(ctx, id, name)
	case err.code == http.StatusForbidden:
		e.found(CheckChat, Fail, fill(e.say.thrownOut, id), e.say.chatCure)
	case err.code == http.StatusBadRequest:
		e.found(CheckChat, Fail, fill(e.say.chatGone, id), e.say.chatCure)
	default:
		e.found(CheckChat, Fail, fill(e.say.answers, err.String()), e.say.later)
	}
	return false
}

// write checks whether the bot may write in the chat, with a call that leaves no message.
func (e *examination) write(ctx context.Context, id, name string) bool {
	_, err := e.ask(ctx, "sendChatAction", url.Values{"chat_id": {id}, "action": {"typing"}}, nil)
	switch {
	case err == nil || err.code == http.StatusTooManyRequests:
		e.found(CheckChat, OK, fill(e.say.chatGood, name, e.say.kinds[e.chat.Type]), "")
	case err.code == http.StatusBadRequest || err.code == http.StatusForbidden:
		e.found(CheckChat, Fail, fill(e.say.barred, name, err.String()), e.say.barredCure)
	default:
		e.found(CheckChat, Fail, fill(e.say.answers, err.String()), e.say.later)
	}
	return true
}

// rights checks the bot's permissions in a group: topics, and receiving all messages.
func (e *examination) rights(ctx context.Context) {
	query := url.Values{"chat_id": {strconv.FormatInt(e.ChatID, 10)}, "user_id": {strconv.FormatInt(e.me.ID, 10)}}
	if _, err := e.ask(ctx, "getChatMember", query, &e.member); err != nil {
		e.found(CheckTopics, Fail, fill(e.say.answers, err.String()), e.say.later)
		return
	}
	admin := e.member.Status == "administrator" || e.member.Status == "creator"
	switch {
	case e.member.Status == "left" || e.member.Status == "kicked":
		e.found(CheckTopics, Fail, e.say.outside, e.say.chatCure)
		return
	case !e.chat.IsForum:
		e.found(CheckForum, Warn, e.say.forumOff, e.say.forumCure)
	case !admin || (e.member.Status == "administrator" && !e.member.ManageTopics):
		e.found(CheckForum, OK, e.say.forumOn, "")
		e.found(CheckTopics, Warn, e.say.topicsBarred, e.say.topicsCure)
	case e.member.Status == "administrator" && !e.member.DeleteMessages:
		e.found(CheckForum, OK, e.say.forumOn, "")
		e.found(CheckTopics, Warn, e.say.topicsStay, e.say.topicsStayCure)
	default:
		e.found(CheckForum, OK, e.say.forumOn, "")
		e.found(CheckTopics, OK, e.say.topicsGood, "")
	}
	switch {
	case admin:
		e.found(CheckPrivacy, OK, e.say.readsAsAdmin, "")
	case e.me.ReadsAll:
		e.found(CheckPrivacy, OK, e.say.readsAll, "")
	default:
		e.found(CheckPrivacy, Warn, e.say.readsNothing, e.say.readsNothingCure)
	}
}

// updates checks whether updates arrive here and nowhere else.
func (e *examination) updates(ctx context.Context) {
	var hook doctorWebhook
	if _, err := e.ask(ctx, "getWebhookInfo", nil, &hook); err != nil {
		e.found(CheckUpdates, Fail, fill(e.say.answers, err.String()), e.say.later)
		return
	}
	switch {
	case e.WebhookURL != "":
		e.hooked(hook)
	case hook.URL != "":
		e.found(CheckUpdates, Fail, fill(e.say.foreignHook, hostOf(hook.URL)), e.say.foreignHookCure)
	case e.Conflict != nil:
		if since := e.now().Sub(e.Conflict()); since < 10*time.Minute {
			e.found(CheckUpdates, Fail, e.say.conflict, e.say.conflictCure)
			return
		}
		e.polled(hook)
	default:
		_, err := e.ask(ctx, "getUpdates", url.Values{"timeout": {strconv.Itoa(conflictListen)}, "limit": {"1"}}, nil)
		switch {
		case err == nil:
			e.polled(hook)
		case err.code == http.StatusConflict:
			e.found(CheckUpdates, Warn, e.say.conflictSeen, e.say.conflictCure)
		default:
			e.found(CheckUpdates, Fail, fill(e.say.answers, err.String()), e.say.later)
		}
	}
}

func (e *examination) polled(hook doctorWebhook) {
	if hook.Pending >= backlog {
		e.found(CheckUpdates, Warn, fill(e.say.piling, strconv.Itoa(hook.Pending)), e.say.pilingCure)
		return
	}
	e.found(CheckUpdates, OK, e.say.polls, "")
}

func (e *examination) hooked(hook doctorWebhook) {
	ours, theirs := hostOf(e.WebhookURL), hostOf(hook.URL)
	lately := hook.ErrorAt > 0 && e.now().Sub(time.Unix(hook.ErrorAt, 0)) < 10*time.Minute
	switch {
	case hook.URL == "":
		e.found(CheckUpdates, Fail, e.say.hookMissing, e.say.hookMissingCure)
	case ours != theirs:
		e.found(CheckUpdates, Fail, fill(e.say.hookElsewhere, theirs, ours), e.say.foreignHookCure)
	case lately:
		e.found(CheckUpdates, Warn, fill(e.say.hookFails, hook.Error), fill(e.say.hookFailsCure, ours))
	default:
		e.found(CheckUpdates, OK, fill(e.say.hookGood, ours), "")
	}
}
