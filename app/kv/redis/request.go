package redis

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"sync"
	"time"

	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/app/kv"
)

// request is a run of commands of one connection: an app.Request with the memory it is made of. From Submit to Complete
// it belongs to the submitter, whatever the client was told meanwhile. Only a request that was completed in time is used
// again; one that was not is left to the garbage collector.
type request struct {
	app.Request
	conn         *conn
	commands     int // replies that the client waits for
	valueReplies int // writes that answer with a value
	texts        []byte
	parts        []part
	deadline     time.Time

	// Under conn.mu.
	done  bool // reply and err are set
	reply []byte
	err   error
}

// part is a Local whose Query is still a range of texts, which may move.
type part struct {
	after    uint32
	from, to int
	literal  bool
}

var requests sync.Pool

func newRequest(c *conn) *request {
	r, ok := requests.Get().(*request)
	if !ok {
		r = &request{}
		r.Words = words{}
		r.Complete = r.complete // made once: a closure for each use would be an allocation
	}
	r.conn = c
	return r
}

// release gives the request's memory back, but for buffers that have grown large.
func (r *request) release() {
	*r = request{Request: app.Request{Blob: r.Blob[:0], Locals: r.Locals[:0], Complete: r.Complete, Words: r.Words},
		texts: r.texts[:0], parts: r.parts[:0]}
	if cap(r.Blob)+cap(r.texts) > keptBytes {
		r.Blob, r.texts = nil, nil
	}
	requests.Put(r)
}

// bytes is how much memory the request's commands take.
func (r *request) bytes() int { return len(r.Blob) + len(r.texts) }

// addWrite appends a command to the blob, in the form of mempool.AppendCommand but without an intermediate copy.
func (r *request) addWrite(c *kv.Command, size int, args [][]byte) {
	r.Blob = binary.AppendUvarint(r.Blob, uint64(size)<<1)
	r.Blob = kv.AppendCommand(r.Blob, c.Op, args...)
	r.Count++
	r.commands++
	if c.ReturnsValue(1 + len(args)) {
		r.valueReplies++
	}
}

// framedSize is how many bytes a command of size bytes takes in a blob.
func framedSize(size int) int { return size + (bits.Len64(uint64(size)<<1|1)+6)/7 }

// addQuery appends a read.
func (r *request) addQuery(op kv.Op, args [][]byte) {
	from := len(r.texts)
	r.texts = kv.AppendCommand(r.texts, op, args...)
	r.parts = append(r.parts, part{after: r.Count, from: from, to: len(r.texts)})
	r.commands++
}

// addLiteral appends a reply that is known already: what the caller has appended to texts behind from. Neighbours become
// one part.
func (r *request) addLiteral(from int) {
	r.commands++
	if n := len(r.parts); n > 0 && r.parts[n-1].literal && r.parts[n-1].after == r.Count {
		r.parts[n-1].to = len(r.texts)
		return
	}
	r.parts = append(r.parts, part{after: r.Count, from: from, to: len(r.texts), literal: true})
}

// seal makes the request ready for Submit. local is true if it needs no Submit, since all its replies are known.
func (r *request) seal(timeout time.Duration) (local bool) {
	r.deadline = time.Now().Add(timeout)
	local = r.Count == 0
	for _, p := range r.parts {
		local = local && p.literal
		r.Locals = append(r.Locals, app.Local{After: p.after, Query: r.texts[p.from:p.to:p.to], Literal: p.literal})
	}
	return local
}

// complete takes the request's outcome. It is called by the node and does not block: the writer does the rest.
func (r *request) complete(_ *app.Request, reply []byte, err error) {
	c := r.conn // r is not to be touched once the writer may have it
	c.mu.Lock()
	c.submitted--
	r.done, r.reply, r.err = true, reply, err
	first := c.queued > 0 && c.queue[c.head] == r
	c.mu.Unlock()
	signal(c.room)
	if first {
		signal(c.wake)
	}
}

// signal wakes whoever waits on a channel of capacity 1, or the next that will.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// outcome is what each command of a request that failed is answered with.
func outcome(err error) string {
	switch {
	case errors.Is(err, app.ErrNotApplied):
		return "-TRYAGAIN not applied\r\n"
	case errors.Is(err, app.ErrBusy):
		return "-BUSY too much work under way, try again\r\n"
	case errors.Is(err, app.ErrTooLarge):
		return "-ERR request too large\r\n"
	case errors.Is(err, app.ErrDiskFull): // as Redis says when it cannot persist
		return "-MISCONF disk full, commands are refused until there is room\r\n"
	case errors.Is(err, app.ErrStopped):
		return "-ERR node is stopping\r\n"
	}
	// ErrUnknownOutcome, and all that an error we do not know can mean.
	return "-TIMEOUT outcome unknown\r\n"
}
