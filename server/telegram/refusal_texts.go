package telegram

import (
	"sohbet/server/apperr"
)

// reasons are the Turkish explanations of refusals by error code. The refusals themselves are in English.
var reasons = map[string]string{
	apperr.CodeUnauthorized: "buna izin yok.",
	apperr.CodeValidation:   "mesaj bu haliyle kaydedilemiyor; çok uzun ya da boş olabilir.",
	apperr.CodeRateLimit:    "kısa sürede çok mesaj geldi; biraz bekleyip yeniden deneyin.",
	apperr.CodeNotFound:     "bu konuşma artık yok.",
	apperr.CodeBlocked:      "bu ziyaretçi engellenmiş.",

	apperr.CodeNoFile:       "dosya boş.",
	apperr.CodeFileType:     "dosya bozuk ya da bu tür dosyalar kabul edilmiyor. Resim, ses, video (MP4, MOV, WebM), PDF, metin, Word, Excel, PowerPoint, OpenDocument ya da ZIP gönderin.",
	apperr.CodeTooLarge:     "dosya çok büyük.",
	apperr.CodeUploadFailed: "dosyalar için yer kalmadı.",
}

// reason explains a refusal in the operator's language.
func reason(lang string, e *apperr.Error) string {
	if text := reasons[e.Code]; text != "" && lang == "tr" {
		return text
	}
	return e.Message
}
