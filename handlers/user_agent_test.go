package handlers

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestClientWords(t *testing.T) {
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                                                                             "Firefox 140, Linux",
		"Mozilla/5.0 (Linux; Android 15; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Mobile Safari/537.36":                              "Chrome 138, Android",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1":            "Safari 18, iOS",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15":                              "Safari 18, macOS",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0.0":                      "Edge 138, Windows",
		"Mozilla/5.0 (Linux; Android 14; SAMSUNG SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36": "Samsung Browser 25, Android",
		"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36":                                     "Chrome 138, ChromeOS",
		"": ", ",
	} {
		browser, platform := client(agent)
		if got := browser + ", " + platform; got != want {
			t.Errorf("%s: %q, want %q", agent, got, want)
		}
	}
	for _, odd := range []string{"\xff\xfe(", strings.Repeat("x/1 ", 10_000), "a\x00b/1", "((((((", "/", ";;;", strings.Repeat("ş", 300)} {
		browser, platform := client(odd)
		if len([]rune(browser)) > maxWord || len([]rune(platform)) > maxWord || strings.Contains(browser+platform, "\x00") || !utf8.ValidString(browser+platform) {
			t.Errorf("%.20q: %q, %q", odd, browser, platform)
		}
	}
}
