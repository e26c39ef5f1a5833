package telegram

import (
	"strings"
	"time"
)

// doctorTexts are the doctor's texts in one language. {} are placeholders, filled from left to right.
type doctorTexts struct {
	lang   string
	titles map[string]string
	kinds  map[string]string // of chats

	tokenGood, tokenBad, tokenCure                         string
	unreachable, unreachableCure, answers, later           string
	clockGood, clockFast, clockSlow, clockCure             string
	chatGood, chatGone, thrownOut, chatCure                string
	barred, barredCure                                     string
	channel, channelCure, moved, movedCure, outside        string
	forumOn, forumOff, forumCure                           string
	topicsGood, topicsBarred, topicsCure                   string
	topicsStay, topicsStayCure                             string
	readsAsAdmin, readsAll, readsNothing, readsNothingCure string
	polls, piling, pilingCure                              string
	foreignHook, foreignHookCure                           string
	conflict, conflictSeen, conflictCure                   string
	hookGood, hookMissing, hookMissingCure                 string
	hookElsewhere, hookFails, hookFailsCure                string
}

func textsOf(locale string) *doctorTexts {
	if locale == "en" {
		return &doctorEnglish
	}
	return &doctorTurkish
}

// fill replaces {} by values.
func fill(text string, values ...string) string {
	for _, v := range values {
		text = strings.Replace(text, "{}", v, 1)
	}
	return text
}

// clockOff describes how far the local clock is ahead of or behind Telegram's.
func (t *doctorTexts) clockOff(off time.Duration) string {
	text := t.clockFast
	if off < 0 {
		text = t.clockSlow
	}
	return fill(text, off.Abs().String())
}

var doctorTurkish = doctorTexts{
	lang: "tr",
	titles: map[string]string{
		CheckToken: "Bot anahtarı", CheckClock: "Saat", CheckChat: "Sohbet", CheckNumber: "Sohbet numarası", CheckForum: "Konular", CheckTopics: "Konu yetkisi",
		CheckPrivacy: "Gizlilik modu", CheckUpdates: "Gelen mesajlar", CheckSending: "Giden mesajlar",
	},
	kinds: map[string]string{"private": "özel sohbet", "group": "grup", "supergroup": "süper grup"},

	tokenGood:       "@{} olarak bağlanıldı.",
	tokenBad:        "Telegram bu anahtarı kabul etmiyor.",
	tokenCure:       "Telegram'da @BotFather'a /token yazın, botu seçin, gelen anahtarı TELEGRAM_BOT_TOKEN'a koyup yeniden başlatın.",
	unreachable:     "{} adresine ulaşılamıyor: {}.",
	unreachableCure: "Sunucunun internet bağlantısını, güvenlik duvarını ve TELEGRAM_API_URL ayarını denetleyin.",
	answers:         "Telegram şu yanıtı verdi: {}.",
	later:           "Birkaç dakika sonra yeniden deneyin.",

	barred:     "Bot {} sohbetini görüyor ama oraya yazamıyor: {}.",
	barredCure: "Botu grupta yönetici yapın ya da grubun izinlerinde üyelerin mesaj göndermesine izin verin.",

	clockGood: "Sunucunun saati doğru.",
	clockFast: "Sunucunun saati {} ileri.",
	clockSlow: "Sunucunun saati {} geri.",
	clockCure: "Saat eşitlemesini açın: timedatectl set-ntp true",

	chatGood:    "{} ({}) sohbetine yazılabiliyor.",
	chatGone:    "Bot {} numaralı sohbeti göremiyor.",
	thrownOut:   "Bot {} numaralı sohbetten çıkarılmış ya da engellenmiş.",
	chatCure:    "Botu gruba ekleyin (özel sohbette bota /start yazın) ve TELEGRAM_CHAT_ID'yi denetleyin; grupların numarası eksiyle başlar.",
	channel:     "{} bir kanal; kanalda yanıt verilemez.",
	channelCure: "Konuları açık bir grup kurun, botu ekleyin ve grubun numarasını TELEGRAM_CHAT_ID'ye yazın.",
	moved:       "Grup süper gruba dönüştü; yeni numarası {}. Sohbet onu kullanıyor.",
	movedCure:   "TELEGRAM_CHAT_ID={} olarak ayarlayın; hemen yeniden başlatmak gerekmez.",
	outside:     "Bot bu grubun üyesi değil.",

	forumOn:      "Grupta konular açık; her ziyaretçinin kendi konusu olur.",
	forumOff:     "Grupta konular kapalı; yanıt vermek için ziyaretçinin mesajını yanıtlamanız gerekir.",
	forumCure:    "Grup ayarlarında Konular'ı açın.",
	topicsGood:   "Bot konuları yönetebiliyor.",
	topicsBarred: "Bot konu açamıyor; mesajlar tek bir akışta gelir.",
	topicsCure:   "Grup ayarları → Yöneticiler → bota Konuları Yönet yetkisini verin.",

	topicsStay:     "Bot konuları yönetebiliyor ama silemiyor; silinen konuşmaların konuları yalnızca kapatılır.",
	topicsStayCure: "Grup ayarları → Yöneticiler → bota Mesajları Sil yetkisini verin.",

	readsAsAdmin:     "Bot yönetici; grupta yazılan her şeyi duyar.",
	readsAll:         "Gizlilik modu kapalı; bot grupta yazılan her şeyi duyar.",
	readsNothing:     "Gizlilik modu açık; bot yalnızca komutları ve kendi mesajlarına verilen yanıtları duyar.",
	readsNothingCure: "Botu yönetici yapın; ya da @BotFather → /setprivacy → Disable, ardından botu gruptan çıkarıp yeniden ekleyin.",

	polls:           "Mesajlar sorgulamayla alınıyor; başka alan yok.",
	piling:          "Alınmayı bekleyen {} mesaj var.",
	pilingCure:      "Sohbet çalışıyor mu bakın; çalışıyorsa birkaç dakika bekleyip yeniden deneyin.",
	foreignHook:     "Bu bota {} adresinde bir webhook kurulu; mesajlar oraya gidiyor.",
	foreignHookCure: "Sohbet'i yeniden başlatın: kendi ayarını kurar. Geri gelirse aynı anahtarı kullanan öteki programı durdurun ya da @BotFather → /revoke ile yeni anahtar alın.",
	conflict:        "Aynı anahtarla başka bir program da mesajları alıyor; mesajlar ona gidebilir.",
	conflictSeen:    "Bir program bu botun mesajlarını alıyor. Bu, çalışan Sohbet'in kendisiyse sorun yok.",
	conflictCure:    "Başka bir programsa durdurun; bulamazsanız @BotFather → /revoke ile yeni anahtar alıp TELEGRAM_BOT_TOKEN'a koyun.",

	hookGood:        "Telegram mesajları {} adresine iletiyor.",
	hookMissing:     "Webhook kurulu değil; mesajlar gelmiyor.",
	hookMissingCure: "Sohbet'i başlatın ya da yeniden başlatın: açılışta kurar.",
	hookElsewhere:   "Webhook {} adresinde; ayarlardaki adres {}.",
	hookFails:       "Telegram mesajları iletemiyor: {}.",
	hookFailsCure:   "https://{} adresinin dışarıdan, geçerli bir sertifikayla açıldığını denetleyin.",
}

var doctorEnglish = doctorTexts{
	lang: "en",
	titles: map[string]string{
		CheckToken: "Bot token", CheckClock: "Clock", CheckChat: "Chat", CheckNumber: "Chat number", CheckForum: "Topics", CheckTopics: "Right to manage topics",
		CheckPrivacy: "Privacy mode", CheckUpdates: "Incoming messages", CheckSending: "Outgoing messages",
	},
	kinds: map[string]string{"private": "private chat", "group": "group", "supergroup": "supergroup"},

	tokenGood:       "Connected as @{}.",
	tokenBad:        "Telegram does not accept this token.",
	tokenCure:       "In Telegram write /token to @BotFather, choose the bot, put the token into TELEGRAM_BOT_TOKEN and restart.",
	unreachable:     "{} cannot be reached: {}.",
	unreachableCure: "Check the server's internet connection, its firewall and TELEGRAM_API_URL.",
	answers:         "Telegram answered: {}.",
	later:           "Try again in a few minutes.",

	barred:     "The bot sees the chat {} but may not write there: {}.",
	barredCure: "Make the bot an administrator of the group, or let members send messages in the group's permissions.",

	clockGood: "The server's clock is right.",
	clockFast: "The server's clock is {} fast.",
	clockSlow: "The server's clock is {} slow.",
	clockCure: "Switch on time synchronisation: timedatectl set-ntp true",

	chatGood:    "The bot can write in {} ({}).",
	chatGone:    "The bot cannot see the chat {}.",
	thrownOut:   "The bot was removed from the chat {}, or blocked there.",
	chatCure:    "Add the bot to the group (in a private chat write /start to it) and check TELEGRAM_CHAT_ID; numbers of groups are negative.",
	channel:     "{} is a channel; messages in a channel cannot be answered.",
	channelCure: "Make a group with topics, add the bot, and put the group's number into TELEGRAM_CHAT_ID.",
	moved:       "The group became a supergroup; its new number is {}, and Sohbet uses it.",
	movedCure:   "Set TELEGRAM_CHAT_ID={}; there is no need to restart at once.",
	outside:     "The bot is not a member of this group.",

	forumOn:      "The group has topics; each visitor gets one.",
	forumOff:     "The group has no topics; to answer, reply to the visitor's message.",
	forumCure:    "Switch on Topics in the group's settings.",
	topicsGood:   "The bot may manage topics.",
	topicsBarred: "The bot cannot open topics; all messages come in one stream.",
	topicsCure:   "Group settings → Administrators → give the bot the right Manage Topics.",

	topicsStay:     "The bot may manage topics but not delete them; topics of deleted conversations are only closed.",
	topicsStayCure: "Group settings → Administrators → give the bot the right Delete Messages.",

	readsAsAdmin:     "The bot is an administrator and receives all messages of the group.",
	readsAll:         "Privacy mode is off; the bot receives all messages of the group.",
	readsNothing:     "Privacy mode is on; the bot receives only commands and replies to its own messages.",
	readsNothingCure: "Make the bot an administrator; or @BotFather → /setprivacy → Disable, then remove the bot from the group and add it again.",

	polls:           "Messages are fetched by polling, and no other program fetches them.",
	piling:          "{} messages wait to be fetched.",
	pilingCure:      "See whether Sohbet is running; if it is, wait some minutes and try again.",
	foreignHook:     "A webhook at {} is set for this bot; messages go there.",
	foreignHookCure: "Restart Sohbet: it sets up its own. If the webhook comes back, stop the other program that uses this token, or get a new token with @BotFather → /revoke.",
	conflict:        "Another program with the same token fetches messages too; it may receive them instead.",
	conflictSeen:    "A program is fetching this bot's messages. If that is the running Sohbet itself, all is well.",
	conflictCure:    "If it is another program, stop it; if you cannot find it, get a new token with @BotFather → /revoke and put it into TELEGRAM_BOT_TOKEN.",

	hookGood:        "Telegram delivers messages to {}.",
	hookMissing:     "No webhook is set; no messages are received.",
	hookMissingCure: "Start or restart Sohbet: it sets the webhook when it starts.",
	hookElsewhere:   "The webhook is at {}; the settings say {}.",
	hookFails:       "Telegram cannot deliver messages: {}.",
	hookFailsCure:   "Check that https://{} can be opened from outside with a valid certificate.",
}
