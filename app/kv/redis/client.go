package redis

import (
	"fmt"
	"time"

	"github.com/hotstuffd/hotstuffd/app/kv"
	"github.com/hotstuffd/hotstuffd/app/kv/resp"
)

// nameBytesMax bounds what a client may call itself and its library.
const nameBytesMax = 128

// client answers CLIENT: what libraries send when they connect, and what a person asks.
func client(c *conn, args [][]byte, dst []byte) []byte {
	sub := lower(args[0])
	arity, known := map[string]int{"id": 1, "getname": 1, "info": 1, "list": 1, "setname": 2, "no-evict": 2, "no-touch": 2,
		"setinfo": 3}[sub]
	if !known {
		return unknownSubcommand(dst, "CLIENT", args[0])
	}
	if len(args) != arity {
		return resp.AppendError(dst, kv.ArityError("client|"+sub))
	}
	complaint := ""
	switch sub {
	case "id":
		return resp.AppendInt(dst, int64(c.id))
	case "getname":
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.name == "" {
			return append(dst, resp.Null...)
		}
		return resp.AppendBulk(dst, c.name)
	case "info":
		return resp.AppendBulk(dst, c.describe(nil))
	case "list":
		var list []byte
		for _, other := range c.server.clients() {
			list = other.describe(list)
		}
		return resp.AppendBulk(dst, list)
	case "setname":
		complaint = c.setName(args[1])
	case "setinfo":
		complaint = c.setLibrary(lower(args[1]), args[2])
	}
	// NO-EVICT and NO-TOUCH ask for what is so anyway: nothing is ever evicted.
	if complaint != "" {
		return resp.AppendError(dst, complaint)
	}
	return append(dst, resp.OK...)
}

func (c *conn) setName(name []byte) (complaint string) {
	if !isName(name) {
		return "ERR Client names cannot contain spaces, newlines or special characters."
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.name = string(name)
	return ""
}

func (c *conn) setLibrary(field string, value []byte) (complaint string) {
	if !isName(value) {
		return "ERR " + field + " cannot contain spaces, newlines or special characters."
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch field {
	case "lib-name":
		c.lib = string(value)
	case "lib-ver":
		c.libVer = string(value)
	default:
		return "ERR Unrecognized option '" + field + "'"
	}
	return ""
}

func isName(b []byte) bool {
	for _, c := range b {
		if c < '!' || c > '~' {
			return false
		}
	}
	return len(b) <= nameBytesMax
}

// describe appends the client's line of CLIENT LIST.
func (c *conn) describe(dst []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Appendf(dst, "id=%d addr=%s laddr=%s name=%s age=%d db=0 requests=%d resp=2 lib-name=%s lib-ver=%s\n",
		c.id, c.sock.RemoteAddr(), c.sock.LocalAddr(), c.name, int(time.Since(c.since).Seconds()), c.queued, c.lib, c.libVer)
}
