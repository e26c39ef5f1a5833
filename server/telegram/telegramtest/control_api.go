package telegramtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// Control returns an HTTP API with JSON bodies through which another program plays the operator and reads what was sent. It has no
// authentication: serve it on a separate listener.
//
//	POST /say     In                       → Message
//	POST /edit    {message_id, text}
//	POST /press   {message_id, data}       → {query}
//	POST /topic   {do: open|close|reopen|rename|delete, topic, name} → {topic}
//	POST /service {topic, message}         → Message
//	POST /redeliver {message_id}
//	POST /fault   Fault                    (delay in nanoseconds)
//	POST /down    {down}
//	POST /calm
//	POST /allow   {text}
//	GET  /messages · /sent · /topics · /calls · /blame → arrays, oldest first
//	GET  /file?id=                         → the content
func (s *Server) Control() http.Handler {
	mux := http.NewServeMux()
	type order struct {
		Do      string  `json:"do"`
		Message int     `json:"message_id"`
		Topic   int     `json:"topic"`
		Name    string  `json:"name"`
		Text    string  `json:"text"`
		Data    string  `json:"data"`
		Down    bool    `json:"down"`
		Service Message `json:"message"`
	}
	do := func(path string, act func(o order) any) {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) { take(w, r, act) })
	}
	get := func(path string, list func() any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { give(w, list()) })
	}
	mux.HandleFunc("POST /say", func(w http.ResponseWriter, r *http.Request) {
		take(w, r, func(in In) any { return s.Say(in) })
	})
	mux.HandleFunc("POST /fault", func(w http.ResponseWriter, r *http.Request) {
		take(w, r, func(f Fault) any { s.Script(f); return struct{}{} })
	})
	do("/edit", func(o order) any { s.Edit(o.Message, o.Text); return struct{}{} })
	do("/press", func(o order) any { return map[string]string{"query": s.Press(o.Message, o.Data)} })
	do("/topic", func(o order) any { return s.order(o.Do, o.Topic, o.Name) })
	do("/service", func(o order) any { return s.Service(o.Topic, o.Service) })
	do("/redeliver", func(o order) any { s.Redeliver(o.Message); return struct{}{} })
	do("/down", func(o order) any { s.SetDown(o.Down); return struct{}{} })
	do("/calm", func(order) any { s.NoFaults(); return struct{}{} })
	do("/allow", func(o order) any { s.Allow(o.Text); return struct{}{} })
	get("/messages", func() any { return s.Messages() })
	get("/sent", func() any { return s.Sent() })
	get("/topics", func() any { return s.Topics() })
	get("/calls", func() any { return s.Calls() })
	get("/blame", func() any { return s.Violations() })
	mux.HandleFunc("GET /file", func(w http.ResponseWriter, r *http.Request) {
		data := s.File(r.URL.Query().Get("id"))
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		_, _ = w.Write(data) // a failed write means that the client has disconnected
	})
	return mux
}

// order performs POST /topic.
func (s *Server) order(do string, topic int, name string) any {
	switch do {
	case "open":
		topic = s.OpenTopic(name)
	case "close":
		s.CloseTopic(topic)
	case "reopen":
		s.ReopenTopic(topic)
	case "rename":
		s.RenameTopic(topic, name)
	case "delete":
		s.DeleteTopic(topic)
	default:
		return fmt.Errorf("unknown topic operation %q", do)
	}
	return map[string]int{"topic": topic}
}

// take decodes the request's JSON body, calls act with it and writes act's result as JSON, or status 400 if the result is an error.
func take[T any](w http.ResponseWriter, r *http.Request, act func(T) any) {
	var in T
	if r.ContentLength != 0 {
		decoder := json.NewDecoder(r.Body)
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&in); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	out := act(in)
	if err, ok := out.(error); ok {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	give(w, out)
}

func give(w http.ResponseWriter, what any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(what); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}
