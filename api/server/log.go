package server

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// logBufferBytes is collected before it is written, while one block is written out.
const logBufferBytes = 32 << 10

// LogEnd is the last line of a log that ended before its time: the node stops, or cannot read on.
type LogEnd struct {
	Error string `json:"error"`
}

// errLimit ends the log at the number of entries that was asked for.
var errLimit = errors.New("limit reached")

// errStopping is what a stream is told that ends because the server closes.
var errStopping = errors.New("node is stopping")

// log answers GET /log: an Entry a line, oldest first, from height from (1) on; at most limit (0: all) of them; with
// follow, the log to come as well. A Gap takes the place of what is not kept here. A client that does not read for ten seconds is cut off.
func (s *Server) log(w http.ResponseWriter, r *http.Request) {
	query, err := parseQuery(r.URL.RawQuery, "from", "limit", "follow")
	from, err1 := query.number("from", 1)
	limit, err2 := query.number("limit", 0)
	follow, err3 := query.flag("follow")
	if err := errors.Join(err, err1, err2, err3); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	done := s.wait(w)
	if done == nil {
		return
	}
	defer done()
	w.Header().Set("Content-Type", "application/x-ndjson")
	control := http.NewResponseController(w)
	out := &logWriter{buffer: bufio.NewWriterSize(patientWriter{w, control}, logBufferBytes), control: control, limit: limit}
	out.encoder = json.NewEncoder(out.buffer)
	out.encoder.SetEscapeHTML(false)
	if out.flush() != nil { // a follower sees at once that it is connected
		return
	}
	err = s.node.Log(r.Context(), from, follow, out)
	if err == nil || errors.Is(err, errLimit) {
		return
	}
	if errors.Is(err, context.Canceled) {
		err = errStopping // or the client has gone, and reads nothing
	}
	out.encoder.Encode(LogEnd{Error: err.Error()})
	out.flush()
}

// logWriter is a LogReader that writes to a client.
type logWriter struct {
	buffer  *bufio.Writer
	encoder *json.Encoder // into buffer
	control *http.ResponseController
	limit   uint64 // 0: none
	written uint64
}

// Entries writes the entries of one block, and sends them: a follower must not wait for the next block.
func (l *logWriter) Entries(entries []Entry) error {
	for i := range entries {
		if err := l.encoder.Encode(&entries[i]); err != nil {
			return err
		}
		if l.written++; l.written == l.limit {
			return errors.Join(l.flush(), errLimit)
		}
	}
	return l.flush()
}

// Gap implements LogReader.
func (l *logWriter) Gap(g Gap) error { return errors.Join(l.encoder.Encode(g), l.flush()) }

func (l *logWriter) flush() error {
	if err := l.buffer.Flush(); err != nil {
		return err
	}
	return l.control.Flush()
}

// patientWriter gives the client time for each write anew, however long the stream lasts.
type patientWriter struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (w patientWriter) Write(p []byte) (int, error) {
	if err := w.control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return w.ResponseWriter.Write(p)
}
