package commands

// turkish maps every English text of the command line to Turkish; a test checks that none is missing.
var turkish = map[string]string{
	"Live chat for a website, in one program": "Bir web sitesi için canlı sohbet, tek programda",
	"Live chat for a website, in one program. Without a command it serves.\n\n" +
		"Settings come from the environment or from the file config.env in this folder; `sohbet settings` lists them.": "Bir web sitesi için canlı sohbet, tek programda. Komutsuz çalıştırıldığında hizmet verir.\n\n" +
		"Ayarlar ortam değişkenlerinden ya da bu klasördeki config.env dosyasından okunur; `sohbet settings` hepsini listeler.",
	"there is no command %q": "%q diye bir komut yok",
	"%s takes %s":            "%s şunu alır: %s",
	"nothing more":           "başka hiçbir şey",
	"nothing but flags":      "yalnızca seçenekler",
	"the name of one file":   "tek bir dosya adı",
	"sohbet help lists the commands, sohbet help COMMAND explains one.": "sohbet help komutları listeler, sohbet help KOMUT birini açıklar.",
	"a flag of this command is wrong or unknown: ":                      "bu komutun bir seçeneği yanlış ya da bilinmiyor: ",
	"help for COMMAND":       "COMMAND için yardım",
	"Help about any command": "Komutlar hakkında yardım",
	"Help provides help for any command in the application.\nSimply type sohbet help [path to command] for full details.": "Her komut için yardım verir.\nAyrıntılar için sohbet help KOMUT yazın.",
	"Usage:":               "Kullanım:",
	"Examples:":            "Örnekler:",
	"Available Commands:":  "Komutlar:",
	"Additional Commands:": "Diğer komutlar:",
	"Global Flags:":        "Genel seçenekler:",
	"Flags:":               "Seçenekler:",
	"[command]":            "[komut]",
	"[flags]":              "[seçenekler]",
	`Use "{{.CommandPath}} [command] --help" for more information about a command.`: `Bir komut hakkında ayrıntı için: "{{.CommandPath}} [komut] --help"`,

	"Print version, commit and date":                  "Sürümü, commit'i ve tarihi yazar",
	"List every setting, as an example of config.env": "Bütün ayarları config.env örneği olarak listeler",
	"as the table in README.md":                       "README.md'deki tablo olarak",
	"Back up database and uploads to one file":        "Veritabanını ve yüklenen dosyaları tek dosyaya koyar",
	"Back up database and uploads to one file. The server may run meanwhile. Messages are encrypted in it too:\n" +
		"keep the key (SECRET_KEY, or secret.key in the data folder) elsewhere.": "Veritabanını ve yüklenen dosyaları tek dosyaya koyar. Sunucu bu sırada çalışabilir. Mesajlar yedekte de şifrelidir:\n" +
		"anahtarı (SECRET_KEY ya da veri klasöründeki secret.key) başka bir yerde saklayın.",
	"Restore a backup": "Bir yedeğin içindekileri geri getirir",
	"Restore a backup into the configured database, SQLite or PostgreSQL. Stop the server first.": "Bir yedeğin içindekileri ayarlardaki veritabanına, türü ne olursa olsun geri getirir. Önce sunucuyu durdurun.",
	"replace existing data": "var olanın yerine koy",
	"Re-encrypt all texts with the first key of SECRET_KEY, so that the others can be removed":                                "Bütün mesajları SECRET_KEY'in ilk anahtarıyla şifreler; öteki anahtarlar sonra silinebilir",
	"Re-encrypt all texts with the first key of SECRET_KEY, so that the others can be removed. The server may run meanwhile.": "Bütün mesajları SECRET_KEY'in ilk anahtarıyla şifreler; öteki anahtarlar sonra silinebilir. Sunucu bu sırada çalışabilir.",
	"Delete expired data now": "Süresi dolanları şimdi siler",
	"Delete expired data now: messages older than MESSAGE_RETENTION_DAYS (or --days), conversations without messages\n" +
		"after a day, used sign-in codes. The server does the same every hour; it may run meanwhile.": "Süresi dolanları şimdi siler: MESSAGE_RETENTION_DAYS'den (ya da --days'den) eski mesajlar, bir gündür kimsenin yazmadığı\n" +
		"konuşmalar, kullanılmış giriş kodları. Sunucu da her saat aynısını yapar; bu sırada çalışabilir.",
	"delete messages older than this many days, instead of MESSAGE_RETENTION_DAYS":                                 "MESSAGE_RETENTION_DAYS yerine bu kadar günden eski mesajları sil",
	"Sign all agents out, in every browser":                                                                        "Herkesin oturumunu bütün tarayıcılarda kapatır",
	"Sign all agents out, in every browser. The server may run meanwhile; it closes open consoles within seconds.": "Herkesin oturumunu bütün tarayıcılarda kapatır. Sunucu bu sırada çalışabilir; açık panelleri saniyeler içinde kapatır.",
	"Check settings, database, server and Telegram, and report how to fix problems":                                "Ayarları, veritabanını, sunucuyu ve Telegram'ı denetler, yanlış olanın çaresini söyler",
	"Check settings, data folder, database, the running server and the Telegram bot, and report how to fix each\n" +
		"problem, in the language of the terminal (LC_ALL, LC_MESSAGES, LANG). The exit code is 1 when a check failed.": "Ayarları, veri klasörünü, veritabanını, çalışan sunucuyu ve Telegram botunu denetler, her bulgunun çaresini terminalin dilinde\n" +
		"(LC_ALL, LC_MESSAGES, LANG) söyler. Bir denetim başarısızsa çıkış kodu 1'dir.",

	"%d texts checked, %d re-encrypted with the first of %d keys, %d that no key decrypts left unchanged\n":                 "%d metin denetlendi, %d tanesi %d anahtarın ilkiyle yeniden şifrelendi, hiçbir anahtarın açmadığı %d tanesi olduğu gibi bırakıldı\n",
	"all agents are signed out; open consoles close within seconds":                                                         "herkesin oturumu kapatıldı; açık paneller saniyeler içinde kapanır",
	"%s (%d bytes, %d uploaded files) %s\n":                                                                                 "%s (%d bayt, %d yüklenmiş dosya) %s\n",
	"written; keep the key (SECRET_KEY or secret.key in the data folder) elsewhere: without it the messages cannot be read": "yazıldı; anahtarı (SECRET_KEY ya da veri klasöründeki secret.key) başka bir yerde saklayın: onsuz kimse mesajları okuyamaz",
	"restored": "geri yüklendi",
	"--days takes a number of days, 0 to keep messages of any age": "--days bir gün sayısı alır; 0 her yaştaki mesajı saklar",
	"%d messages, %d conversations and %d sign-in codes deleted\n": "%d mesaj, %d konuşma ve %d giriş kodu silindi\n",
	"database: %w":           "veritabanı: %w",
	"close the database: %w": "veritabanını kapatma: %w",
	"%d of %d checks failed": "%d / %d denetim başarısız",

	"ask for a code there; it appears here":                                                                      "orada kod isteyin; kod burada görünür",
	"ask for a code there; it comes to your Telegram chat":                                                       "orada kod isteyin; kod Telegram sohbetinize gelir",
	"user name %s and your password; the code then appears here":                                                 "kullanıcı adı %s ve parolanız; kod sonra burada görünür",
	"user name %s and your password; the code then comes to your Telegram chat":                                  "kullanıcı adı %s ve parolanız; kod sonra Telegram sohbetinize gelir",
	"\n  Sohbet is running.\n    Chat page    %s/\n    Agents       %s/login  (%s)\n    Stop         Ctrl-C\n\n": "\n  Sohbet çalışıyor.\n    Sohbet sayfası  %s/\n    Temsilciler     %s/login  (%s)\n    Durdurmak için  Ctrl-C\n\n",
}
