package assets

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func TestTreeShaking(t *testing.T) {
	n := referencesIn([]byte("t('talk.send'); t(`talk.state_${x}`); t(`visitor.${key}`); const key = on ? 'state_away' : 'none'; byId('label'); count('talk.new', 3)"))
	for key, want := range map[string]bool{
		"talk.send": true, "talk.state_read": true, "visitor.state_away": true, "talk.new_one": true, "talk.new_other": true,
		"talk.attach": false, "visitor.lead": false, "talk.newer": false, "talk.label": false,
	} {
		if n.text(key) != want {
			t.Errorf("%s: %v", key, !want)
		}
	}
	sprite := string(referencesIn([]byte("icon('clock')")).sprite([]byte(`<use href="#i-send"/>`)))
	for name, want := range map[string]bool{"clock": true, "send": true, "trash": false, "sen": false} {
		if strings.Contains(sprite, `id="i-`+name+`"`) != want {
			t.Errorf("icon %s: %v", name, !want)
		}
	}
}

// Every page contains the icons that its HTML uses; a small page contains fewer than all.
func TestPagesHaveTheirIcons(t *testing.T) {
	all := bytes.Count(allIcons, []byte("<symbol"))
	for name := range pageParts {
		w := httptest.NewRecorder()
		if err := Page(w, httptest.NewRequest(http.MethodGet, "/", nil), http.StatusOK, name, PageData{}); err != nil {
			t.Fatal(err)
		}
		html := w.Body.String()
		for _, m := range regexp.MustCompile(`href="#(i-[a-z]+)"`).FindAllStringSubmatch(html, -1) {
			if !strings.Contains(html, `<symbol id="`+m[1]+`"`) {
				t.Errorf("%s uses %s, which it does not contain", name, m[1])
			}
		}
		if n := strings.Count(html, "<symbol"); n == 0 && name != "offline" || name == "login" && n > all*3/4 {
			t.Errorf("%s contains %d of %d icons", name, n, all)
		}
	}
}
