package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// status answers GET /status. With height=H it waits until that height is applied, and then, or when the wait ends without
// it, shows the state of that moment.
func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	query, err := parseQuery(r.URL.RawQuery, "height")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	height, err := query.number("height", 0)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if height > s.node.Status().AppliedHeight {
		done := s.wait(w)
		if done == nil {
			return
		}
		defer done()
		ctx, cancel := context.WithTimeout(r.Context(), statusWaitTimeout)
		defer cancel()
		// Whatever ended the wait, the answer is the state.
		_ = s.node.Await(ctx, height)
	}
	status := s.node.Status()
	status.Version = s.version
	status.UptimeSeconds = time.Since(s.started).Seconds()
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.Encode(status) // an error is the client's going away
}

// query is a request's parameters, each given once.
type query map[string]string

// parseQuery reads parameters. A misspelt one would be ignored in silence: it is an error.
func parseQuery(raw string, known ...string) (query, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, fmt.Errorf("parameters: %w", err)
	}
	q := query{}
	for _, name := range known {
		if len(values[name]) > 1 {
			return nil, fmt.Errorf("parameter %s is given twice", name)
		}
		if values.Has(name) {
			q[name] = values.Get(name)
			delete(values, name)
		}
	}
	for name := range values {
		return nil, fmt.Errorf("unknown parameter %q: want %q", name, known)
	}
	return q, nil
}

// number returns a parameter that is a whole number, or otherwise when it is not given.
func (q query) number(name string, otherwise uint64) (uint64, error) {
	text, given := q[name]
	if !given {
		return otherwise, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("parameter %s = %q: want a whole number", name, text)
	}
	return n, nil
}

// flag returns a parameter that is 1 or 0; not given is 0.
func (q query) flag(name string) (bool, error) {
	switch text := q[name]; text {
	case "1":
		return true, nil
	case "", "0":
		return false, nil
	default:
		return false, fmt.Errorf("parameter %s = %q: want 1 or 0", name, text)
	}
}
