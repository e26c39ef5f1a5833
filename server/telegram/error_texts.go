package telegram

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Problem is an error of the connection to Telegram.
type Problem struct {
	Reason string // one of the constants below, which pages translate; "" = no problem
	Text   string // description in plain language
	Cure   string // how to fix it

	value string
}

// The reasons.
const (
	ReasonToken       = "telegram_token"
	ReasonMoved       = "telegram_moved"
	ReasonAbsent      = "telegram_absent"
	ReasonRights      = "telegram_rights"
	ReasonTopics      = "telegram_topics"
	ReasonConflict    = "telegram_conflict"
	ReasonBetween     = "telegram_between"
	ReasonUnreachable = "telegram_unreachable"
	ReasonFault       = "telegram_fault"
	ReasonRefused     = "telegram_refused"
	ReasonAside       = "telegram_aside"
)

// problems are descriptions and fixes by language. {} is replaced by the value of a problem.
var problems = map[string]map[string]Problem{
	"en": {
		ReasonToken:       {Text: "Telegram refuses TELEGRAM_BOT_TOKEN", Cure: "Write /token to @BotFather, put the token into TELEGRAM_BOT_TOKEN and restart."},
		ReasonMoved:       {Text: "the group has become a supergroup", Cure: "Set TELEGRAM_CHAT_ID to its new number, {}."},
		ReasonAbsent:      {Text: "the bot is not in the chat TELEGRAM_CHAT_ID", Cure: "Add the bot to the group, or in a private chat write /start to it; check TELEGRAM_CHAT_ID."},
		ReasonRights:      {Text: "the bot may not write in the chat TELEGRAM_CHAT_ID", Cure: "Make the bot an administrator of the group, or let its members send messages."},
		ReasonTopics:      {Text: "the bot may not manage topics", Cure: "Group settings → Administrators → give the bot the right Manage Topics."},
		ReasonConflict:    {Text: "another program receives this bot's messages", Cure: "Stop that program, or get a new token with @BotFather → /revoke."},
		ReasonBetween:     {Text: "a proxy or firewall between this server and Telegram answers instead of it", Cure: "Check the proxy or firewall on the way, and TELEGRAM_API_URL."},
		ReasonUnreachable: {Text: "Telegram cannot be reached", Cure: "Check the server's internet connection, its firewall and TELEGRAM_API_URL."},
		ReasonFault:       {Text: "Telegram reports an internal error", Cure: "There is nothing to do: queued messages are sent as soon as Telegram works again."},
		ReasonRefused:     {Text: "Telegram refuses messages", Cure: "Write /doctor to the bot, or run sohbet doctor, and follow its instructions."},
		ReasonAside:       {Text: "messages could not be sent to Telegram: {}", Cure: "Open their conversations in the console and send them again there."},
	},
	"tr": {
		ReasonToken:       {Text: "Telegram TELEGRAM_BOT_TOKEN'ı kabul etmiyor", Cure: "@BotFather'a /token yazın, anahtarı TELEGRAM_BOT_TOKEN'a koyup yeniden başlatın."},
		ReasonMoved:       {Text: "grup süper gruba dönüştü", Cure: "TELEGRAM_CHAT_ID'ye yeni numarasını yazın: {}."},
		ReasonAbsent:      {Text: "bot TELEGRAM_CHAT_ID sohbetinde değil", Cure: "Botu gruba ekleyin, özel sohbette ona /start yazın; TELEGRAM_CHAT_ID'yi denetleyin."},
		ReasonRights:      {Text: "bot TELEGRAM_CHAT_ID sohbetine yazamıyor", Cure: "Botu grupta yönetici yapın ya da üyelerin mesaj göndermesine izin verin."},
		ReasonTopics:      {Text: "bot konuları yönetemiyor", Cure: "Grup ayarları → Yöneticiler → bota Konuları Yönet yetkisini verin."},
		ReasonConflict:    {Text: "bu botun mesajlarını başka bir program alıyor", Cure: "O programı durdurun ya da @BotFather → /revoke ile yeni anahtar alın."},
		ReasonBetween:     {Text: "bu sunucuyla Telegram arasındaki bir şey onun yerine yanıt veriyor", Cure: "Yoldaki vekil sunucuyu ya da güvenlik duvarını ve TELEGRAM_API_URL'yi denetleyin."},
		ReasonUnreachable: {Text: "Telegram'a ulaşılamıyor", Cure: "Sunucunun internet bağlantısını, güvenlik duvarını ve TELEGRAM_API_URL'yi denetleyin."},
		ReasonFault:       {Text: "Telegram kendi hatasını bildiriyor", Cure: "Yapılacak bir şey yok: bekleyenler Telegram düzelir düzelmez gönderilir."},
		ReasonRefused:     {Text: "Telegram gönderilenleri geri çeviriyor", Cure: "Bota /doctor yazın ya da sohbet doctor çalıştırın ve söylediğini yapın."},
		ReasonAside:       {Text: "Telegram'a gönderilemeyen mesaj sayısı: {}", Cure: "Konuşmalarını panelde açıp oradan yeniden gönderin."},
	},
}

// problem returns a Problem in English, with {} replaced by value.
func problem(reason, value string) Problem { return Problem{Reason: reason, value: value}.in("en") }

// Explain returns the problem with that reason in a language, "tr" or "en". Its Text is empty for an unknown reason.
func Explain(reason, value, lang string) Problem {
	return Problem{Reason: reason, value: value}.in(lang)
}

// in returns the problem in a language, "tr" or "en".
func (p Problem) in(lang string) Problem {
	text := problems[lang][p.Reason]
	p.Text, p.Cure = strings.ReplaceAll(text.Text, "{}", p.value), strings.ReplaceAll(text.Cure, "{}", p.value)
	return p
}

// diagnose returns the problem behind an error; the zero Problem if a person could not fix it.
func diagnose(err error) Problem {
	var e *apiError
	var network *url.Error
	switch {
	case errors.As(err, &e):
	case errors.As(err, &network):
		return problem(ReasonUnreachable, "")
	default:
		return Problem{}
	}
	switch v := classify(err); {
	case e.Foreign && e.Code < 500:
		return problem(ReasonBetween, "")
	case e.Code >= 500:
		return problem(ReasonFault, "")
	case e.Code == http.StatusUnauthorized || e.Code == http.StatusNotFound:
		return problem(ReasonToken, "")
	case e.MigratedTo != 0:
		return problem(ReasonMoved, strconv.FormatInt(e.MigratedTo, 10))
	case e.Code == http.StatusConflict:
		return problem(ReasonConflict, "")
	case e.has("chat not found", "kicked", "not a member", "blocked by the user", "user is deactivated", "channel_private", "peer_id_invalid"):
		return problem(ReasonAbsent, "")
	case v == barred && e.has("topic"):
		return problem(ReasonTopics, "")
	case v == barred || v == lockedOut:
		return problem(ReasonRights, "")
	case v == refused || v == topicGone || v == topicClosed:
		return problem(ReasonRefused, "")
	}
	return Problem{}
}

// reasonOf describes for the console why a message was not sent; it contains no message text.
func reasonOf(err error) string {
	var e *apiError
	switch p := diagnose(err); {
	case errors.As(err, &e):
		return strings.TrimPrefix(e.Error(), "telegram: ")
	case p.Text != "":
		return p.Text
	}
	return "Telegram did not respond"
}
