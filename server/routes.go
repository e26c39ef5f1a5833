package server

import (
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"sohbet/assets"
	"sohbet/handlers"
	"sohbet/server/agents"
	"sohbet/server/media"
	"sohbet/server/telegram"
)

// Maximum request body sizes. Upload routes have their own limits.
const (
	loginBody = "16K"  // also for other small bodies
	apiBody   = "256K" // fits a message of 10,000 runes with each rune escaped
)

// isSocket reports whether a path belongs to the socket server: /socket.io/ itself. The files of the client library have paths below
// it.
func isSocket(path string) bool { return path == "/socket.io/" || path == "/socket.io" }

// routes lists every route of docs/protocol.md, "HTTP", by who may call it. Middleware is named at each route rather than by Echo's groups,
// which would answer for every unknown path below them too.
func routes(e *echo.Echo, a *handlers.API) {
	get := func(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) {
		e.Match([]string{http.MethodGet, http.MethodHead}, path, h, m...)
	}

	// Public: pages and files.
	get("/", a.Home)
	get("/widget.js", a.Loader)
	get("/widget", a.Widget)
	get("/login", a.LoginPage)
	get("/admin", a.Console) // redirects to /login unless an agent is signed in
	e.GET("/logout", a.Logout)
	get("/static/*", a.Static())
	files := echo.WrapHandler(assets.Files())
	for _, path := range []string{"/favicon.ico", "/robots.txt"} {
		get(path, files)
	}
	for _, path := range assets.IconPaths() {
		get(path, a.Icon)
	}
	get("/manifest.json", a.Manifest)
	get("/admin/manifest.json", a.ConsoleManifest)
	get("/sw.js", a.Worker)
	get("/offline", a.Offline) // shown by the service worker without a connection
	get("/brand.css", a.BrandStyle)
	get("/brand/logo", a.BrandPicture)
	get("/brand/avatar", a.BrandPicture)
	get(agents.PicturePath+":name", a.AgentPicture)
	for _, name := range []string{"socket.io.min.js", "socket.io.js", "socket.io.esm.min.js"} {
		get("/socket.io/"+name, a.ClientScript)
	}

	// Public: uploaded files, by unguessable names; and uploading, limited by RATE_LIMIT_UPLOAD.
	get("/uploads/:folder/:name", a.Uploaded)
	e.POST("/api/upload/image", a.Upload(media.Image), a.WithUploadTimeout, a.LimitUploads)
	e.POST("/api/upload/audio", a.Upload(media.Audio), a.WithUploadTimeout, a.LimitUploads)
	e.POST("/api/upload/file", a.Upload(media.Any), a.WithUploadTimeout, a.LimitUploads)
	e.POST("/api/upload/sign", a.SignUpload, a.LimitAPI, middleware.BodyLimit(loginBody))
	e.POST("/api/upload/confirm", a.ConfirmUpload, a.LimitAPI, middleware.BodyLimit(loginBody))

	// Public: health checks.
	get("/health", a.Health)
	get("/health/live", a.Live)
	get("/health/ready", a.Ready)

	// Telegram, authenticated by a secret header.
	e.POST(telegram.WebhookPath, a.Webhook)

	// Public, limited by RATE_LIMIT_LOGIN: signing in.
	small := middleware.BodyLimit(loginBody)
	e.POST("/request-otp", a.RequestOTP, small)
	e.POST("/verify-otp", a.VerifyOTP, small)
	e.POST("/admin/login", a.Login, small)
	e.POST("/admin/verify-otp", a.AdminVerifyOTP, small)
	e.GET("/login/oidc", a.BeginOIDC, a.LimitAPI)
	e.GET("/login/oidc/callback", a.FinishOIDC, a.LimitAPI)
	e.POST("/login/passkey/begin", a.BeginPasskeyLogin, a.LimitAPI, small)
	e.POST("/login/passkey/finish", a.FinishPasskeyLogin, small)

	// Public, with an invitation's token: becoming an agent.
	get("/invite/:token", a.InvitePage, a.LimitAPI)
	e.POST("/api/invite", a.AcceptInvitation, a.LimitAPI, small)
	e.POST("/api/invite/passkey", a.BeginInvitedPasskey, a.LimitAPI, small)

	// Public, with the token of an owner's link: setting a new password.
	get("/password/:token", a.PasswordPage, a.LimitAPI)
	e.POST("/api/password", a.SetLinkedPassword, a.LimitAPI, small)

	// Agents, and visitors with their thread id; all of /api is limited by RATE_LIMIT_API.
	body, gzip := middleware.BodyLimit(apiBody), middleware.GzipWithConfig(middleware.GzipConfig{MinLength: 1024})
	e.POST("/api/messages/send", a.Send, a.LimitAPI, body)

	// Agents only.
	get("/api/threads", a.Threads, a.LimitAPI, a.AgentsOnly, gzip)
	get("/api/threads/counts", a.ThreadCounts, a.LimitAPI, a.AgentsOnly)
	get("/api/messages", a.Messages, a.LimitAPI, a.AgentsOnly, gzip)
	get("/api/messages/:thread_id", a.ThreadMessages, a.LimitAPI, a.AgentsOnly, gzip)
	e.POST("/api/messages/clear", a.Clear, a.LimitAPI, a.AgentsOnly, body)
	e.POST("/api/threads/delete", a.Delete, a.LimitAPI, a.AgentsOnly, body)
	get("/api/blocks", a.Blocks, a.LimitAPI, a.AgentsOnly, gzip)
	e.POST("/api/threads/block", a.Block, a.LimitAPI, a.AgentsOnly, body)
	e.POST("/api/threads/unblock", a.Unblock, a.LimitAPI, a.AgentsOnly, body)
	e.POST("/api/threads/export", a.Export, a.LimitAPI, a.AgentsOnly, body, gzip)
	get("/api/undelivered", a.Undelivered, a.LimitAPI, a.AgentsOnly, gzip)
	e.POST("/api/undelivered/send", a.SendAgain, a.LimitAPI, a.AgentsOnly, body)
	get("/api/push/key", a.PushKey, a.LimitAPI, a.AgentsOnly)
	e.POST("/api/push/subscribe", a.PushSubscribe, a.LimitAPI, a.AgentsOnly, small)
	e.POST("/api/push/unsubscribe", a.PushUnsubscribe, a.LimitAPI, a.AgentsOnly, small)
	get("/api/canned", a.Canned, a.LimitAPI, a.AgentsOnly, gzip)
	e.POST("/api/canned", a.SaveCanned, a.LimitAPI, a.AgentsOnly, body)
	e.POST("/api/canned/delete", a.DeleteCanned, a.LimitAPI, a.AgentsOnly, body)

	get("/admin/people", a.PeoplePage)           // redirects to /login unless an agent is signed in
	get("/admin/diagnostics", a.DiagnosticsPage) // redirects to /login unless an agent is signed in
	get("/api/diagnostics", a.Diagnostics, a.LimitAPI, a.AgentsOnly, gzip)
	get("/api/me", a.Me, a.LimitAPI, a.AgentsOnly)
	e.POST("/api/me", a.ChangeMe, a.LimitAPI, a.AgentsOnly, small)
	e.POST("/api/me/picture", a.SetPicture, a.WithUploadTimeout, a.LimitUploads, a.AgentsOnly)
	e.POST("/api/me/picture/remove", a.RemovePicture, a.LimitAPI, a.AgentsOnly, small)
	e.POST("/api/me/totp", a.ProposeTOTP, a.LimitAPI, a.AgentsOnly, small)
	e.POST("/api/me/totp/confirm", a.ConfirmTOTP, a.LimitAPI, a.AgentsOnly, small)
	e.POST("/api/me/totp/remove", a.RemoveTOTP, a.LimitAPI, a.AgentsOnly, small)
	get("/api/me/passkeys", a.ListPasskeys, a.LimitAPI, a.AgentsOnly)
	e.POST("/api/me/passkeys/begin", a.BeginPasskey, a.LimitAPI, a.AgentsOnly, small)
	e.POST("/api/me/passkeys/finish", a.FinishPasskey, a.LimitAPI, a.AgentsOnly, small)
	e.POST("/api/me/passkeys/remove", a.RemovePasskey, a.LimitAPI, a.AgentsOnly, small)
	get("/api/me/sessions", a.ListSessions, a.LimitAPI, a.AgentsOnly)
	e.POST("/api/me/sessions/end", a.EndSessions, a.LimitAPI, a.AgentsOnly, small)
	e.POST("/api/me/telegram", a.TelegramCode, a.LimitAPI, a.AgentsOnly, small)
	e.POST("/api/me/telegram/unlink", a.UnlinkTelegram, a.LimitAPI, a.AgentsOnly, small)
	get("/api/agents", a.ListAgents, a.LimitAPI, a.AgentsOnly, gzip)
	get("/admin/audit", a.AuditPage)       // for owners; redirects to /login unless an agent is signed in
	get("/admin/settings", a.SettingsPage) // likewise

	// Owners only.
	get("/api/settings", a.ListSettings, a.LimitAPI, a.OwnersOnly, gzip)
	e.POST("/api/settings", a.ChangeSettings, a.LimitAPI, a.OwnersOnly, body)
	get("/api/audit", a.AuditLog, a.LimitAPI, a.OwnersOnly, gzip)
	get("/api/audit.csv", a.AuditFile, a.LimitAPI, a.OwnersOnly, gzip)
	e.POST("/api/agents/invite", a.Invite, a.LimitAPI, a.OwnersOnly, small)
	e.POST("/api/agents/password-link", a.LinkPassword, a.LimitAPI, a.OwnersOnly, small)
	e.POST("/api/agents/update", a.UpdateAgent, a.LimitAPI, a.OwnersOnly, small)
	e.POST("/api/messages/clear_all", a.ClearAll, a.LimitAPI, a.OwnersOnly, body)
	e.POST("/api/diagnostics/repair", a.Repair, a.LimitAPI, a.OwnersOnly, small)
	e.POST("/api/diagnostics/log-level", a.SetLogLevel, a.LimitAPI, a.OwnersOnly, small)

	// METRICS_TOKEN or agents.
	get("/metrics", a.Metrics, a.MetricsAccess)
	get("/api/metrics", a.MetricsJSON, a.LimitAPI, a.MetricsAccess)
}
