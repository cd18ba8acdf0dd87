package redis

import (
	"fmt"

	"github.com/hotstuffd/hotstuffd/app/kv"
	"github.com/hotstuffd/hotstuffd/app/kv/resp"
)

// take adds one command to the request that is being built. more is false if the client is not to be read any further.
func (c *conn) take(args [][]byte) (more bool) {
	command, ok := kv.Lookup(args[0])
	if !ok {
		return c.takeLocal(args)
	}
	if !command.Takes(len(args)) {
		return c.literal(func(dst []byte) []byte { return resp.AppendError(dst, kv.ArityError(command.Name)) })
	}
	args = args[1:]
	size := kv.CommandSize(args)
	r, ok := c.requestFor(size, command.ReturnsValue(1+len(args)))
	if !ok {
		return false
	}
	if command.Write {
		r.addWrite(command, size, args)
	} else {
		r.addQuery(command.Op, args)
	}
	return c.sendIfFull()
}

// request returns the request that is being built.
func (c *conn) request() *request {
	if c.building == nil {
		c.building = newRequest(c)
	}
	return c.building
}

// requestFor returns the request that is being built, or the next one if this one has no room for a command of size bytes,
// which answers with a value or not. ok is false if the client is not to be read any further.
func (c *conn) requestFor(size int, returns bool) (r *request, ok bool) {
	r = c.request()
	if full := r.bytes()+framedSize(size) > c.server.cfg.MaxRequestBytes; r.commands > 0 && full ||
		returns && r.valueReplies == valueRepliesMax {
		if !c.send() {
			return nil, false
		}
		r = c.request()
	}
	return r, true
}

// literal adds a reply that is known already.
func (c *conn) literal(appendReply func(dst []byte) []byte) (more bool) {
	r := c.request()
	from := len(r.texts)
	r.texts = appendReply(r.texts)
	r.addLiteral(from)
	return c.sendIfFull()
}

func (c *conn) sendIfFull() (more bool) {
	if r := c.building; r.commands >= c.server.cfg.MaxPipeline || r.bytes() >= c.server.cfg.MaxRequestBytes {
		return c.send()
	}
	return true
}

// takeLocal answers a command that is about the connection or the server, or takes one that the engine has.
func (c *conn) takeLocal(args [][]byte) (more bool) {
	name := lower(args[0])
	command, ok := locals[name]
	if !ok {
		return c.literal(func(dst []byte) []byte { return appendUnknown(dst, args) })
	}
	if words := len(args); words != command.arity && (command.arity > 0 || words < -command.arity) {
		return c.literal(func(dst []byte) []byte { return resp.AppendError(dst, kv.ArityError(name)) })
	}
	if command.take != nil {
		return command.take(c, args[1:])
	}
	more = c.literal(func(dst []byte) []byte { return command.run(c, args[1:], dst) })
	return more && !command.last
}

// quotedBytesMax bounds what an error quotes of a client's words.
const quotedBytesMax = 128

func appendUnknown(dst []byte, args [][]byte) []byte {
	text := fmt.Appendf(nil, "ERR unknown command '%.*s', with args beginning with: ", quotedBytesMax, args[0])
	quoted := 0
	for _, a := range args[1:] {
		if quoted >= quotedBytesMax {
			break
		}
		a = a[:min(len(a), quotedBytesMax-quoted)]
		quoted += len(a) + 3
		text = fmt.Appendf(text, "'%s' ", a)
	}
	return resp.AppendError(dst, string(text))
}

// lower is a name in lower case; "" for one that is too long to be any.
func lower(name []byte) string {
	if len(name) > 32 {
		return ""
	}
	b := make([]byte, len(name))
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		b[i] = c
	}
	return string(b)
}
