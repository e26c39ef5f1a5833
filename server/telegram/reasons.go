package telegram

import (
	"sohbet/server/chat"
	"sohbet/server/media"
)

// reasons are the Turkish explanations of refusals by error code. The refusals themselves are in English.
var reasons = map[string]string{
	chat.CodeUnauthorized: "buna izin yok.",
	chat.CodeValidation:   "mesaj bu haliyle kaydedilemiyor; çok uzun ya da boş olabilir.",
	chat.CodeRateLimit:    "kısa sürede çok mesaj geldi; biraz bekleyip yeniden deneyin.",
	chat.CodeNotFound:     "bu konuşma artık yok.",
	chat.CodeBlocked:      "bu ziyaretçi engellenmiş.",

	media.CodeNoFile:       "dosya boş.",
	media.CodeFileType:     "dosya bozuk ya da bu tür dosyalar kabul edilmiyor. Resim, ses, video (MP4, MOV, WebM), PDF, metin, Word, Excel, PowerPoint, OpenDocument ya da ZIP gönderin.",
	media.CodeTooLarge:     "dosya çok büyük.",
	media.CodeUploadFailed: "dosyalar için yer kalmadı.",
}

// reason explains a refusal in the operator's language.
func reason(lang string, e *chat.Error) string {
	if text := reasons[e.Code]; text != "" && lang == "tr" {
		return text
	}
	return e.Message
}
