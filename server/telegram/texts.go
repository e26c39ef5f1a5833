package telegram

import (
	"strings"

	tele "gopkg.in/telebot.v3"
)

// texts are the bot's texts in Turkish and English, as Telegram HTML. Words in braces are placeholders.
var texts = map[string]map[string]string{
	"tr": {
		"console":      "Panel → {name}",
		"picture":      "[resim]",
		"voice":        "[ses]",
		"file":         "[dosya]",
		"unshowable":   "Bu mesaj Telegram'da gösterilemiyor. Panelde okuyabilirsiniz.",
		"how":          "Bu mesaj hiç kimseye gönderilmedi. Ziyaretçiye yazmak için onun konusuna yazın, mesajını yanıtlayın ya da mesajınıza altındaki #thread:… etiketini ekleyin.",
		"how_plain":    "Bu mesaj hiç kimseye gönderilmedi. Ziyaretçiye yazmak için mesajını yanıtlayın ya da mesajınıza altındaki #thread:… etiketini ekleyin.",
		"conflict":     "Bu mesaj hiç kimseye gönderilmedi: birden fazla konuşmayı gösteriyor. Yalnız birini seçin.",
		"unknown_tag":  "Bu mesaj hiç kimseye gönderilmedi: #thread:{tag} diye bir konuşma yok (silinmiş olabilir).",
		"as_channel":   "Bu mesaj hiç kimseye gönderilmedi: bir kanal adına yazıldı. Kendi adınıza ya da grup adına yazın.",
		"gone":         "Bu konuşma artık yok; mesajınız gönderilmedi.",
		"unsupported":  "Bu tür mesajlar ziyaretçiye gönderilemiyor. Metin, resim, ses ya da dosya gönderin.",
		"too_large":    "Dosya ziyaretçiye gönderilmedi: Telegram botlara en çok {max} MB'lık dosya verir.",
		"bad_file":     "Dosya ziyaretçiye gönderilmedi: {reason}",
		"no_fetch":     "Dosya Telegram'dan alınamadı; ziyaretçiye gönderilmedi. Lütfen yeniden gönderin.",
		"failed":       "Gönderilemedi: {reason}",
		"not_edited":   "Düzeltme ziyaretçiye yansımadı: {reason}",
		"which":        "Hangi konuşma? Komutu konuşmanın konusunda ya da ziyaretçinin bir mesajını yanıtlayarak verin.",
		"unknown":      "Böyle bir komut yok; hiç kimseye bir şey gönderilmedi. /help hepsini gösterir.",
		"closed":       "✅ Konuşma kapatıldı.",
		"reopened":     "Konuşma yeniden açıldı.",
		"blocked":      "⛔ Ziyaretçi engellendi.",
		"blocked_both": "⛔ Ziyaretçi ve adresi engellendi.",
		"unblocked":    "Engel kaldırıldı.",
		"online":       "🟢 Çevrimiçisiniz; ziyaretçiler yanıt bekliyor.",
		"offline":      "🌙 Uzaktasınız; ziyaretçiler “daha sonra yanıtlarız” notunu görüyor.",
		"no_threads":   "Açık konuşma yok.",
		"threads":      "Açık konuşmalar ({n}):",
		"reply_here":   "Yanıtlamak için bu mesajı yanıtlayın.",
		"phone":        "Telefon: {phone}",
		"page":         "Sayfa: {page}",
		"last":         "Son mesaj: {text}",
		"language":     "Dil: {language}",
		"email":        "E-posta: {email}",
		"earlier":      "Önceki konuşmalar: {earlier}",
		"repeated":     "Konuşmanın son satırları:",
		"you":          "Siz",
		"done":         "Tamam",
		"b_close":      "✅ Kapat",
		"b_reopen":     "Yeniden aç",
		"b_block":      "⛔ Engelle",
		"b_address":    "Adresini de engelle",
		"b_unblock":    "Engeli kaldır",
		"b_topic":      "Konuya git",
		"b_online":     "🟢 Çevrimiçi ol",
		"b_offline":    "🌙 Uzakta ol",
		"b_threads":    "💬 Konuşmalar",
		"status": "<b>Durum</b>\nÇevrimiçi ziyaretçi: {visitors}\nYanıt bekleyen konuşma: {waiting}\n" +
			"Telegram'a gönderilmeyi bekleyen: {queued}\nVeritabanı: {database}\nEkip: {team}",
		"well":         "çalışıyor",
		"team_here":    "çevrimiçi",
		"team_away":    "uzakta",
		"doctor_good":  "✅ Her şey yolunda.",
		"cmd_help":     "Komutlar ve nasıl yanıt verilir",
		"cmd_status":   "Durum, çevrimiçi ziyaretçiler, bekleyenler",
		"cmd_threads":  "Açık konuşmalar",
		"cmd_close":    "Konuşmayı kapat (konusunda ya da yanıt olarak)",
		"cmd_block":    "Ziyaretçiyi engelle (konusunda ya da yanıt olarak)",
		"cmd_online":   "Çevrimiçi ol",
		"cmd_offline":  "Uzakta ol: ziyaretçiler “daha sonra yanıtlarız” görür",
		"cmd_doctor":   "Botun ayarlarını denetle",
		"help_head":    "Ziyaretçiye yanıt vermek için onun konusuna yazın, mesajını yanıtlayın ya da #thread:… etiketini ekleyin. Mesajınızı düzeltirseniz ziyaretçi de düzeltilmişini görür.",
		"code":         "🔑 Giriş kodu: <code>{code}</code>\nBeş dakika geçerli; yalnız isteyen tarayıcıda.\nİsteyen: {address}\nTarayıcı: {browser}\n\nSiz istemediyseniz kimseye vermeyin.",
		"failed_guess": "⚠️ Giriş kodu yanlış girildi ({tries}. kez).\nAdres: {address}\nTarayıcı: {browser}\n\nSiz değilseniz biri girmeye çalışıyor.",
	},
	"en": {
		"console":      "Console → {name}",
		"picture":      "[picture]",
		"voice":        "[voice]",
		"file":         "[file]",
		"unshowable":   "This message cannot be shown in Telegram. You can read it in the console.",
		"how":          "This message was not sent to any visitor. To write to a visitor, write in their topic, reply to a message of theirs, or add the tag under it, #thread:…, to your message.",
		"how_plain":    "This message was not sent to any visitor. To write to a visitor, reply to a message of theirs, or add the tag under it, #thread:…, to your message.",
		"conflict":     "This message was not sent to any visitor: it refers to more than one conversation. Choose one.",
		"unknown_tag":  "This message was not sent to any visitor: there is no conversation #thread:{tag} (it may have been deleted).",
		"as_channel":   "This message was not sent to any visitor: it was written in the name of a channel. Write in your own name or in the group's.",
		"gone":         "This conversation does not exist any more; your message was not sent.",
		"unsupported":  "Messages of this kind cannot be sent to visitors. Send text, a picture, sound or a file.",
		"too_large":    "The file was not sent to the visitor: Telegram gives bots files of up to {max} MB.",
		"bad_file":     "The file was not sent to the visitor: {reason}",
		"no_fetch":     "The file could not be fetched from Telegram; the visitor did not get it. Please send it again.",
		"failed":       "Not sent: {reason}",
		"not_edited":   "The visitor does not see the correction: {reason}",
		"which":        "Which conversation? Give the command in its topic, or as a reply to a message of the visitor.",
		"unknown":      "There is no such command; nothing was sent. /help lists them.",
		"closed":       "✅ Conversation closed.",
		"reopened":     "Conversation open again.",
		"blocked":      "⛔ Visitor blocked.",
		"blocked_both": "⛔ Visitor and address blocked.",
		"unblocked":    "No longer blocked.",
		"online":       "🟢 You are online; visitors expect answers.",
		"offline":      "🌙 You are away; visitors see “we answer later”.",
		"no_threads":   "No open conversations.",
		"threads":      "Open conversations ({n}):",
		"reply_here":   "Reply to this message to answer.",
		"phone":        "Phone: {phone}",
		"page":         "Page: {page}",
		"last":         "Last message: {text}",
		"language":     "Language: {language}",
		"email":        "E-mail: {email}",
		"earlier":      "Earlier conversations: {earlier}",
		"repeated":     "Last lines of the conversation:",
		"you":          "You",
		"done":         "Done",
		"b_close":      "✅ Close",
		"b_reopen":     "Open again",
		"b_block":      "⛔ Block",
		"b_address":    "Block the address too",
		"b_unblock":    "Unblock",
		"b_topic":      "Go to the topic",
		"b_online":     "🟢 Be online",
		"b_offline":    "🌙 Be away",
		"b_threads":    "💬 Conversations",
		"status": "<b>Status</b>\nVisitors online: {visitors}\nConversations waiting: {waiting}\n" +
			"Waiting to be sent to Telegram: {queued}\nDatabase: {database}\nTeam: {team}",
		"well":         "works",
		"team_here":    "online",
		"team_away":    "away",
		"doctor_good":  "✅ All is well.",
		"cmd_help":     "Commands, and how to answer",
		"cmd_status":   "Health, visitors online, who waits",
		"cmd_threads":  "Open conversations",
		"cmd_close":    "Close the conversation (in its topic or as a reply)",
		"cmd_block":    "Block the visitor (in the topic or as a reply)",
		"cmd_online":   "Be online",
		"cmd_offline":  "Be away: visitors see “we answer later”",
		"cmd_doctor":   "Check the bot's settings",
		"help_head":    "To answer a visitor, write in their topic, reply to a message of theirs, or add the tag #thread:…. When you correct your message, the visitor sees it corrected.",
		"code":         "🔑 Sign-in code: <code>{code}</code>\nValid for five minutes, only in the browser that requested it.\nRequested from: {address}\nBrowser: {browser}\n\nIf that was not you, do not share the code.",
		"failed_guess": "⚠️ A wrong sign-in code was entered (try {tries}).\nAddress: {address}\nBrowser: {browser}\n\nIf that was not you, someone is trying to get in.",
	},
}

// localized returns a text. pairs are placeholders and their values; values must be HTML.
func localized(lang, key string, pairs ...string) string {
	for i := 0; i < len(pairs); i += 2 {
		pairs[i] = "{" + pairs[i] + "}"
	}
	return strings.NewReplacer(pairs...).Replace(texts[lang][key])
}

// language returns the language in which the bot answers a user.
func (b *Bridge) language(u *tele.User) string {
	switch {
	case u == nil || u.LanguageCode == "":
		return b.locale
	case strings.HasPrefix(strings.ToLower(u.LanguageCode), "tr"):
		return "tr"
	}
	return "en"
}
