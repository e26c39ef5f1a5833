package engine

import (
	"net/http"
	"strconv"
)

// refusal is a protocol error with the messages of the Node.js server, so that clients and operators see the same texts.
type refusal struct {
	status  int
	code    int
	message string
}

func (r *refusal) Error() string { return "engine: " + r.message }

var (
	errTransport  = &refusal{http.StatusBadRequest, 0, "Transport unknown"}
	errUnknownSID = &refusal{http.StatusBadRequest, 1, "Session ID unknown"}
	errMethod     = &refusal{http.StatusBadRequest, 2, "Bad handshake method"}
	errBadRequest = &refusal{http.StatusBadRequest, 3, "Bad request"}
	errForbidden  = &refusal{http.StatusForbidden, 4, "Forbidden"}
	errVersion    = &refusal{http.StatusBadRequest, 5, "Unsupported protocol version"}
	errTooBig     = &refusal{http.StatusRequestEntityTooLarge, 3, "Payload too large"}
	errCrowded    = &refusal{http.StatusTooManyRequests, 3, "Too many connections"}
	errFlood      = &refusal{http.StatusTooManyRequests, 3, "Too many packets"}
	errStopping   = &refusal{http.StatusServiceUnavailable, 3, "Server is stopping"}
)

func refuse(w http.ResponseWriter, why *refusal) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(why.status)
	w.Write([]byte(`{"code":` + strconv.Itoa(why.code) + `,"message":"` + why.message + `"}`))
}

func answer(w http.ResponseWriter, contentType string, body []byte) error {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	_, err := w.Write(body)
	return err
}
