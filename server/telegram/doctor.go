// Package telegram answers visitors from the operators' chat in Telegram.
package telegram

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Grade is how good or bad a Finding is.
type Grade string

// The grades. Warn works, but not as well as it could; Fail does not work.
const (
	OK   Grade = "ok"
	Warn Grade = "warn"
	Fail Grade = "fail"
)

// The checks, in the order in which they are made.
const (
	CheckToken   = "token"   // the token is good, and Telegram can be reached
	CheckClock   = "clock"   // our clock agrees with Telegram's
	CheckChat    = "chat"    // the bot is in the chat and may write there
	CheckForum   = "forum"   // the group has topics
	CheckTopics  = "topics"  // the bot may manage them
	CheckPrivacy = "privacy" // the bot hears what is written
	CheckUpdates = "updates" // messages reach us: webhook or polling, and nobody else takes them
	CheckSending = "sending" // messages go out; only the running server knows
)

// Finding is what one check found, in the language that was asked for.
type Finding struct {
	Check string
	Grade Grade
	Title string // what was checked
	Text  string // what was found
	Cure  string // the step that puts it right; empty when there is nothing to do
}

const (
	doctorTimeout  = 10 * time.Second // for each question
	conflictListen = 3                // seconds; whoever else polls comes back within that time
	clockWarn      = 15 * time.Second // the Date header counts whole seconds, and the answer travels
	clockFail      = 5 * time.Minute
	backlog        = 100 // updates that nobody fetched; Telegram keeps them for a day
)

// Doctor examines the set-up of the bot. It changes nothing: what waits to be fetched still waits afterwards.
type Doctor struct {
	APIURL     string // without a slash at the end
	Token      string
	ChatID     int64
	WebhookURL string           // as set; empty = polling
	Client     *http.Client     // nil = one of its own
	Now        func() time.Time // nil = time.Now

	// Conflict tells when this process, which polls, was last told that another program does too; the zero time is never. Nil
	// means that this process does not poll: the doctor then listens for others itself.
	Conflict func() time.Time
	// Trouble tells what keeps this process from sending; the zero Problem is nothing. Nil means that this process does not send.
	Trouble func(context.Context) Problem
}

// examination is one visit.
type examination struct {
	*Doctor
	say      *doctorTexts
	findings []Finding
	me       doctorUser
	chat     doctorChat
	member   doctorMember
}

// Examine makes every check that makes sense after the ones before it. locale is "tr" or "en".
func (d *Doctor) Examine(ctx context.Context, locale string) []Finding {
	e := &examination{Doctor: d, say: textsOf(locale)}
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

// Worst is the gravest grade among findings.
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

// token asks the bot for its name, and looks at the clock on the way; false means that nothing else can be asked.
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

// clock compares Telegram's Date header with our time in the middle of the call.
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

// reach finds the chat.
func (e *examination) reach(ctx context.Context) bool {
	id := strconv.FormatInt(e.ChatID, 10)
	_, err := e.ask(ctx, "getChat", url.Values{"chat_id": {id}}, &e.chat)
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
	case err.movedTo != 0:
		e.found(CheckChat, Fail, e.say.moved, fill(e.say.movedCure, strconv.FormatInt(err.movedTo, 10)))
	case err.code == http.StatusForbidden:
		e.found(CheckChat, Fail, fill(e.say.thrownOut, id), e.say.chatCure)
	case err.code == http.StatusBadRequest:
		e.found(CheckChat, Fail, fill(e.say.chatGone, id), e.say.chatCure)
	default:
		e.found(CheckChat, Fail, fill(e.say.answers, err.String()), e.say.later)
	}
	return false
}

// write finds out whether the bot may write in the chat, by an action that leaves nothing there.
func (e *examination) write(ctx context.Context, id, name string) bool {
	_, err := e.ask(ctx, "sendChatAction", url.Values{"chat_id": {id}, "action": {"typing"}}, nil)
	switch {
	case err == nil || err.code == http.StatusTooManyRequests:
		e.found(CheckChat, OK, fill(e.say.chatGood, name, e.say.kinds[e.chat.Type]), "")
	case err.movedTo != 0:
		e.found(CheckChat, Fail, e.say.moved, fill(e.say.movedCure, strconv.FormatInt(err.movedTo, 10)))
	case err.code == http.StatusBadRequest || err.code == http.StatusForbidden:
		e.found(CheckChat, Fail, fill(e.say.barred, name, err.String()), e.say.barredCure)
	default:
		e.found(CheckChat, Fail, fill(e.say.answers, err.String()), e.say.later)
	}
	return true
}

// rights looks at what the bot may do in a group: topics, and hearing everybody.
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
		e.found(CheckPrivacy, OK, e.say.hearsAdmin, "")
	case e.me.ReadsAll:
		e.found(CheckPrivacy, OK, e.say.hearsAll, "")
	default:
		e.found(CheckPrivacy, Warn, e.say.deaf, e.say.deafCure)
	}
}

// updates finds out whether what the operators write comes here and nowhere else.
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
