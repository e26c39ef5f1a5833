package app

import (
	"sohbet/assets"
	"sohbet/handlers"
	"sohbet/server"
	"sohbet/server/auth"
	"sohbet/server/chat"
	"sohbet/server/config"
	"sohbet/server/liveconfig"
)

// live are the components that follow settings which owners change.
type live struct {
	parts    *parts
	settings *liveconfig.Service
	api      *handlers.API
	chat     *chat.Service
	origins  auth.Origins
	limits   server.Limits
}

// apply puts settings into effect. What cannot be applied stays as it is.
func (l *live) apply(stored map[string]string) {
	log := l.parts.log
	before := l.settings.Current()
	cfg, ignored := l.settings.Apply(stored)
	for _, name := range ignored {
		log.Warn("a stored setting is not valid and has no effect; change it in the console or with sohbet settings", "name", name)
	}
	look, err := lookOf(cfg)
	if err != nil {
		log.Warn("a stored setting cannot be applied", "error", err)
	} else {
		l.api.SetLook(look)
	}
	l.chat.SetHours(cfg.OpeningHours)
	l.chat.SetIdentitySecret(cfg.IdentitySecret)
	l.origins.SetSites(cfg.CORSOrigins)
	l.limits.Apply(cfg)
	if cfg.LogLevel != before.LogLevel { // otherwise the one set on the diagnostics page stays
		l.parts.level.Set(cfg.LogLevel)
	}
}

// lookOf returns the look of the pages for settings; it reads the pictures.
func lookOf(cfg *config.Config) (handlers.Look, error) {
	brand, err := handlers.NewBrand(cfg.DataDir, cfg.BasePath(), assets.Brand(cfg.Brand))
	return handlers.Look{Brand: brand, Sites: cfg.CORSOrigins, Locale: cfg.Locale, Zone: cfg.OpeningHours.Zone(), MetricsToken: cfg.MetricsToken}, err
}
