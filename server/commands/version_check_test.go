package commands

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// versionCheck runs `sohbet version --check` of a version.
func versionCheck(t *testing.T, version string) (code int, out, errs string) {
	t.Helper()
	t.Chdir(t.TempDir()) // has no config.env
	var stdout, stderr bytes.Buffer
	code = Run(t.Context(), Program{Version: version, VersionLine: version + " (commit c)"}, []string{"version", "--check"}, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func TestVersionCheckCompares(t *testing.T) {
	speak(t, "C")
	var answer string
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(answer)) }))
	defer site.Close()
	t.Setenv("RELEASE_URL", site.URL+"/repos/o/sohbet/releases/latest")
	for _, tc := range []struct{ own, answer, want string }{
		{"v1.2.0", `{"tag_name":"v1.10.0","html_url":"https://git.example/v1.10.0"}`, "a newer release is available: v1.10.0 (https://git.example/v1.10.0)"},
		{"v1.2.0", `{"tag_name":"v1.2.0","assets":[{}]}`, "no newer release is available: the latest is v1.2.0"},
		{"v1.3.0-rc.1", `{"tag_name":"v1.3.0"}`, "a newer release is available: v1.3.0"},
		{"v1.2.0-7-gabc1234-dirty", `{"tag_name":"v1.2.0"}`, "no newer release is available: the latest is v1.2.0"},
		{"v1.2.0-dirty", `{"tag_name":"v1.2.0"}`, "no newer release is available: the latest is v1.2.0"},
		{"abc1234", `{"tag_name":"v1.2.0"}`, "the latest release is v1.2.0; this build has no release number to compare"},
		{"dev", `{"tag_name":"v1.2.0","html_url":"javascript:alert(1)"}`, "the latest release is v1.2.0; this build has no release number to compare"},
		{"v1.2.0", `{"tag_name":"v1.3.0","html_url":"https://git.example/\u001b[2J"}`, "a newer release is available: v1.3.0"},
	} {
		answer = tc.answer
		if code, out, errs := versionCheck(t, tc.own); code != ExitOK || out != "sohbet "+tc.own+" (commit c)\n"+tc.want+"\n" {
			t.Errorf("%s of %s: %d %q %q", tc.own, tc.answer, code, out, errs)
		}
	}
}

func TestVersionCheckFails(t *testing.T) {
	speak(t, "C")
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/missing":
			http.NotFound(w, r)
		case "/page":
			_, _ = w.Write([]byte("<title>releases</title>"))
		case "/other":
			_, _ = w.Write([]byte(`{"tag_name":"\u001b[31mnightly"}`))
		case "/endless":
			_, _ = w.Write([]byte(`{"body":"`))
			for filler := bytes.Repeat([]byte("x"), 1<<16); ; {
				if _, err := w.Write(filler); err != nil {
					return
				}
			}
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		}
	}))
	defer site.Close()
	host := strings.TrimPrefix(site.URL, "http://")
	for _, tc := range []struct{ url, want string }{
		{"", "RELEASE_URL is not set"},
		{"ftp://git.example", "RELEASE_URL holds"},
		{site.URL + "/missing?token=hidden", "cannot be fetched from " + host + ": the response has status 404"},
		{site.URL + "/page?token=hidden", "the response of " + host + " does not describe a release"},
		{site.URL + "/other?token=hidden", "the response of " + host + " does not describe a release"},
		{site.URL + "/endless?token=hidden", "the response of " + host + " does not describe a release"},
		{site.URL + "/loop?token=hidden", "cannot be fetched from " + host + ": stopped after 10 redirects"},
		{"http://user:hidden@127.0.0.1:1/latest", "cannot be fetched from 127.0.0.1:1: dial tcp"},
	} {
		t.Setenv("RELEASE_URL", tc.url)
		code, out, errs := versionCheck(t, "v1.2.0")
		if code != ExitFailed || !strings.Contains(errs, tc.want) || out != "sohbet v1.2.0 (commit c)\n" || strings.Contains(errs, "hidden") {
			t.Errorf("%s: %d %q %q", tc.url, code, out, errs)
		}
	}
}

func TestVersionMakesNoRequestByDefault(t *testing.T) {
	site := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request without --check") }))
	defer site.Close()
	t.Setenv("RELEASE_URL", site.URL)
	var out, errs bytes.Buffer
	if code := Run(t.Context(), Program{VersionLine: "v1.2.0 (commit c)"}, []string{"version"}, &out, &errs); code != ExitOK || out.String() != "sohbet v1.2.0 (commit c)\n" {
		t.Errorf("%d %q %q", code, &out, &errs)
	}
}
