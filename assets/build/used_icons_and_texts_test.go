package main

import (
	"html/template"
	"maps"
	"testing"
)

func TestReferencesIn(t *testing.T) {
	n := referencesIn([]byte("t('talk.send'); t(`talk.state_${x}`); t(`visitor.${key}`); const key = on ? 'state_away' : 'none'; byId('label'); count('talk.new', 3)"))
	for key, want := range map[string]bool{
		"talk.send": true, "talk.state_read": true, "visitor.state_away": true, "talk.new_one": true, "talk.new_other": true,
		"talk.attach": false, "visitor.lead": false, "talk.newer": false, "talk.label": false,
	} {
		if n.text(key) != want {
			t.Errorf("%s: %v", key, !want)
		}
	}
}

func TestIconsShown(t *testing.T) {
	page := template.Must(template.New("layout.html").Parse(`{{define "never"}}<use href="#i-trash"/>{{end}}{{define "mark"}}<use href="#i-glass"/>{{end}}
{{if .}}<use href="#i-send"/>{{else}}{{range .}}<use href="#i-clock"/>{{end}}{{with .}}{{template "mark"}}{{end}}{{end}}{{if ne .Page "widget"}}<use href="#i-sun"/>{{else}}<use href="#i-moon"/>{{end}}`))
	got, err := iconsShown("widget", page)
	if want := map[string]bool{"send": true, "clock": true, "glass": true, "moon": true}; err != nil || !maps.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
}
