package handlers

import (
	"maps"
	"slices"

	"github.com/labstack/echo/v4"

	"sohbet/assets"
	"sohbet/assets/locales"
	"sohbet/models"
	"sohbet/server/apperr"
	"sohbet/server/audit"
)

// ListSettings responds with all settings by name.
func (a *API) ListSettings(c echo.Context) error { return ok(c, a.Settings.List()) }

// ChangeSettings changes settings: {NAME: value}, null or "" sets one back.
func (a *API) ChangeSettings(c echo.Context) error {
	var in map[string]*string
	if err := decode(c, &in); err != nil {
		return err
	}
	if len(in) == 0 {
		return apperr.Invalid("", "The body must be a JSON object of names with values, each a string or null.")
	}
	changes := make(map[string]string, len(in))
	for name, value := range in {
		changes[name] = ""
		if value != nil {
			changes[name] = *value
		}
	}
	me := a.account(c)
	wrong, err := a.Settings.Change(c.Request().Context(), models.AgentID(me.ID), changes)
	if err != nil {
		return err
	}
	if len(wrong) > 0 {
		lang := assets.Locale(c.Request(), a.look.Load().Locale)
		refusal := apperr.Invalid("", "Some values are wrong; nothing was changed.")
		refusal.Errors = map[string]string{}
		for name, why := range wrong {
			refusal.Errors[name] = locales.Sentence(lang, why.Error())
		}
		return refusal
	}
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		a.acted(c, audit.Event{Name: audit.SettingChange, Detail: name})
	}
	return ok(c, struct {
		Success bool `json:"success"`
	}{true})
}

// SettingsPage serves the page of the settings to owners; who is not signed in is redirected to /login.
func (a *API) SettingsPage(c echo.Context) error { return a.ownersPage(c, "settings", nil) }
