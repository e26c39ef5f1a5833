package handlers

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"sohbet/assets"
)

// Look is what owners may change about the pages while the server runs.
type Look struct {
	Brand        Brand
	Sites        []string       // origins of other sites that may embed the chat page
	Locale       string         // default language of pages
	Zone         *time.Location // time zone of the opening hours
	MetricsToken string         // "" = only agents may read metrics
}

// look is a Look with the files and policies that depend on it.
type look struct {
	Look
	policy                                             policies
	loader, icons, manifest, consoleManifest, workerJS http.Handler
}

// SetLook replaces the look of the pages. It may be called at any time; pages that are open keep theirs.
func (a *API) SetLook(l Look) {
	a.look.Store(&look{
		Look:            l,
		policy:          newPolicies(l.Sites, a.MediaOrigins, a.UploadOrigins, l.Brand.origins()),
		loader:          assets.Loader(assets.LoaderSettings{Sites: l.Sites, Locale: l.Locale, Name: l.Brand.Name, Color: l.Brand.Color}),
		icons:           assets.Icons(l.Brand.Color),
		manifest:        assets.Manifest(l.Brand.Brand, a.Base, l.Locale),
		consoleManifest: assets.ConsoleManifest(l.Brand.Brand, a.Base, l.Locale),
		workerJS:        assets.Worker(l.Brand.Brand, a.Base),
	})
}

// Loader serves the script that embeds the chat in other sites. Any site may load it; on a site that is not allowed it logs that.
func (a *API) Loader(c echo.Context) error {
	h := c.Response().Header()
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Access-Control-Allow-Origin", "*") // for <script crossorigin>
	return echo.WrapHandler(a.look.Load().loader)(c)
}

// Icon serves an icon of the app in the brand's colour.
func (a *API) Icon(c echo.Context) error { return echo.WrapHandler(a.look.Load().icons)(c) }

// Manifest serves the web app manifest of the chat page.
func (a *API) Manifest(c echo.Context) error { return echo.WrapHandler(a.look.Load().manifest)(c) }

// ConsoleManifest serves the web app manifest of the console.
func (a *API) ConsoleManifest(c echo.Context) error {
	return echo.WrapHandler(a.look.Load().consoleManifest)(c)
}

// Worker serves the service worker.
func (a *API) Worker(c echo.Context) error { return echo.WrapHandler(a.look.Load().workerJS)(c) }
