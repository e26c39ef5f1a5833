package handlers

import (
	"encoding/csv"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"sohbet/assets"
	"sohbet/models"
	"sohbet/server/apperr"
	"sohbet/server/audit"
	"sohbet/server/chat"
)

const (
	auditPage  = 50  // entries per response, unless the client asks for another number
	maxAudit   = 200 // entries per response
	auditChunk = 500 // entries read at once for the file
)

// auditEntry is docs/protocol.md, "Audit entry object".
type auditEntry struct {
	ID          int64           `json:"id"`
	Event       string          `json:"event"`
	Outcome     string          `json:"outcome"`
	AgentID     *models.AgentID `json:"agent_id"` // null if it was not an agent
	Actor       string          `json:"actor"`
	Address     string          `json:"address"`
	Browser     string          `json:"browser"`
	Detail      string          `json:"detail"`
	ThreadID    string          `json:"thread_id"`
	DisplayName string          `json:"display_name"` // of the conversation; "" = deleted, or none
	About       string          `json:"about"`        // the name of the agent that it was done to; "" = none
	Times       int64           `json:"times"`
	CreatedAt   chat.Time       `json:"created_at"`
	LastAt      chat.Time       `json:"last_at"`
}

// AuditPage serves the page of the audit log to owners; who is not signed in is redirected to /login.
func (a *API) AuditPage(c echo.Context) error {
	return a.ownersPage(c, "audit", assets.AuditData{Events: audit.Events})
}

// AuditLog responds with entries of the audit log, newest first: ?before_id= (the last id of the previous page), ?limit=, ?agent=, ?event=,
// ?from= and ?to= (days in the shop's time zone, both included).
func (a *API) AuditLog(c echo.Context) error {
	q, err := a.auditQuery(c)
	if err != nil {
		return err
	}
	q.Limit = auditPage
	if err := number(c, "limit", 1, &q.Limit); err != nil {
		return err
	}
	q.Limit = min(q.Limit, maxAudit) + 1 // one more shows whether there is another page
	rows, err := a.Store.AuditEntries(c.Request().Context(), q)
	if err != nil {
		return err
	}
	var next *int64
	if len(rows) == q.Limit {
		rows = rows[:q.Limit-1]
		next = &rows[len(rows)-1].ID
	}
	list := make([]auditEntry, len(rows))
	for i, e := range rows {
		list[i] = a.viewAudit(c, e)
	}
	return ok(c, struct {
		Entries []auditEntry `json:"entries"`
		Next    *int64       `json:"next"` // before_id of the next page; null for none
	}{list, next})
}

func (a *API) viewAudit(c echo.Context, e models.AuditEntry) auditEntry {
	v := auditEntry{
		ID: e.ID, Event: e.Event, Outcome: e.Outcome, Actor: e.Actor, Address: e.Address, Browser: e.Browser, Detail: e.Detail, ThreadID: e.ThreadID,
		About: a.agentName(e.AboutAgent), Times: e.Times, CreatedAt: chat.Time(e.CreatedAt), LastAt: chat.Time(e.LastAt),
	}
	if e.AgentID != 0 {
		v.AgentID = &e.AgentID
	}
	if e.ThreadID != "" {
		t, _ := a.Store.Thread(c.Request().Context(), e.ThreadID) // it may have been deleted since
		v.DisplayName = t.DisplayName
	}
	return v
}

// agentName returns the present name of an agent; "" for none.
func (a *API) agentName(id models.AgentID) string {
	if id == 0 {
		return ""
	}
	who, _ := a.Store.Agent(int64(id))
	return who.Name
}

// auditQuery reads the filters of a request.
func (a *API) auditQuery(c echo.Context) (q models.AuditQuery, err error) {
	for name, id := range map[string]*int64{"before_id": &q.BeforeID, "agent": (*int64)(&q.AgentID)} {
		if text := c.QueryParam(name); text != "" {
			n, ok := parseID(text)
			if !ok {
				return q, apperr.Invalid("", name+" must be an id.")
			}
			*id = int64(n)
		}
	}
	for name, day := range map[string]*time.Time{"from": &q.From, "to": &q.To} {
		if text := c.QueryParam(name); text != "" {
			if *day, err = time.ParseInLocation(time.DateOnly, text, a.look.Load().Zone); err != nil {
				return q, apperr.Invalid("", name+" must be a day such as 2026-01-02.")
			}
		}
	}
	if !q.To.IsZero() {
		q.To = q.To.AddDate(0, 0, 1)
	}
	if q.Event = c.QueryParam("event"); q.Event != "" && !slices.Contains(audit.Events, q.Event) {
		return q, apperr.Invalid("", "event must be one of the audit log's events.")
	}
	return q, nil
}

// AuditFile sends the entries that the filters of AuditLog select, without limit, as a CSV file.
func (a *API) AuditFile(c echo.Context) error {
	q, err := a.auditQuery(c)
	if err != nil {
		return err
	}
	q.Limit = auditChunk
	ctx, w := c.Request().Context(), c.Response()
	rows, err := a.Store.AuditEntries(ctx, q)
	if err != nil {
		return err
	}
	a.acted(c, audit.Event{Name: audit.AuditExport})
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set(echo.HeaderContentType, "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", "attachment; filename=audit.csv")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write([]byte("\ufeff")) // a byte order mark, by which spreadsheets detect UTF-8; errors of writing are those of file
	file := csv.NewWriter(w)
	_ = file.Write([]string{
		"id", "time", "last_time", "times", "event", "outcome", "agent_id", "actor", "address", "browser", "about", "thread_id", "detail",
	})
	for {
		for _, e := range rows {
			_ = file.Write(a.auditRecord(e))
		}
		if file.Flush(); file.Error() != nil || len(rows) < auditChunk {
			return nil // an error means that the client disconnected
		}
		q.BeforeID = rows[len(rows)-1].ID
		if rows, err = a.Store.AuditEntries(ctx, q); err != nil {
			a.log.ErrorContext(ctx, "failed to stream the audit log", "error", err)
			panic(http.ErrAbortHandler)
		}
	}
}

func (a *API) auditRecord(e models.AuditEntry) []string {
	by := ""
	if e.AgentID != 0 {
		by = strconv.FormatInt(int64(e.AgentID), 10)
	}
	record := []string{
		strconv.FormatInt(e.ID, 10), stamp(e.CreatedAt), stamp(e.LastAt), strconv.FormatInt(e.Times, 10), e.Event, e.Outcome, by,
		e.Actor, e.Address, e.Browser, a.agentName(e.AboutAgent), e.ThreadID, e.Detail,
	}
	for i, cell := range record {
		if strings.IndexAny(cell, "=+-@\t\r\n") == 0 { // a spreadsheet would take it for a formula
			record[i] = "'" + cell
		}
	}
	return record
}
