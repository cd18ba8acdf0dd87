package redis

import (
	"strconv"
	"strings"

	"github.com/hotstuffd/hotstuffd/app/kv"
	"github.com/hotstuffd/hotstuffd/app/kv/resp"
)

// redisVersion is the Redis whose protocol and commands clients may expect. Some ask before they speak.
const redisVersion = "7.4.0"

// local is a command that the store does not have: the front end answers it by itself, or has the engine do so.
type local struct {
	arity int  // as in kv.Command
	last  bool // the connection ends behind it
	run   func(c *conn, args [][]byte, dst []byte) []byte
	take  func(c *conn, args [][]byte) (more bool) // instead of run: it goes into the log
}

var locals map[string]local

func init() { // not a literal: COMMAND lists the table it stands in
	locals = map[string]local{
		"ping":    {arity: -1, run: ping},
		"echo":    {arity: 2, run: func(_ *conn, args [][]byte, dst []byte) []byte { return resp.AppendBulk(dst, args[0]) }},
		"quit":    {arity: -1, last: true, run: func(_ *conn, _ [][]byte, dst []byte) []byte { return append(dst, resp.OK...) }},
		"select":  {arity: 2, run: selectDB},
		"hello":   {arity: -1, run: hello},
		"info":    {arity: -1, run: info},
		"config":  {arity: -2, run: config},
		"command": {arity: -1, run: command},
		"client":  {arity: -2, run: client},
		"session": {arity: 1, take: (*conn).takeSession},
		"once":    {arity: -4, take: (*conn).takeOnce},
	}
}

func ping(_ *conn, args [][]byte, dst []byte) []byte {
	switch len(args) {
	case 0:
		return append(dst, "+PONG\r\n"...)
	case 1:
		return resp.AppendBulk(dst, args[0])
	}
	return resp.AppendError(dst, kv.ArityError("ping"))
}

func selectDB(_ *conn, args [][]byte, dst []byte) []byte {
	switch n, ok := resp.ParseInt(args[0]); {
	case !ok:
		return resp.AppendError(dst, "ERR value is not an integer or out of range")
	case n != 0:
		return resp.AppendError(dst, "ERR DB index is out of range")
	}
	return append(dst, resp.OK...)
}

// hello answers HELLO [2 [SETNAME name]]. Version 3 of the protocol is refused, as a Redis before 6 would: clients then
// go on with 2.
func hello(c *conn, args [][]byte, dst []byte) []byte {
	if len(args) > 0 {
		version, ok := resp.ParseInt(args[0])
		if !ok {
			return resp.AppendError(dst, "ERR Protocol version is not an integer or out of range")
		}
		if version != 2 {
			return resp.AppendError(dst, "NOPROTO unsupported protocol version")
		}
		args = args[1:]
	}
	for len(args) > 0 {
		if len(args) < 2 || lower(args[0]) != "setname" {
			return resp.AppendError(dst, "ERR Syntax error in HELLO option '"+string(args[0][:min(len(args[0]), quotedBytesMax)])+"'")
		}
		if complaint := c.setName(args[1]); complaint != "" {
			return resp.AppendError(dst, complaint)
		}
		args = args[2:]
	}
	dst = resp.AppendArray(dst, 14)
	dst = resp.AppendBulk(resp.AppendBulk(dst, "server"), "redis")
	dst = resp.AppendBulk(resp.AppendBulk(dst, "version"), redisVersion)
	dst = resp.AppendInt(resp.AppendBulk(dst, "proto"), 2)
	dst = resp.AppendInt(resp.AppendBulk(dst, "id"), int64(c.id))
	dst = resp.AppendBulk(resp.AppendBulk(dst, "mode"), "standalone")
	dst = resp.AppendBulk(resp.AppendBulk(dst, "role"), "master")
	return resp.AppendArray(resp.AppendBulk(dst, "modules"), 0)
}

// config answers CONFIG GET: what benchmarks and libraries ask for.
func config(c *conn, args [][]byte, dst []byte) []byte {
	if lower(args[0]) != "get" {
		return resp.AppendError(dst, "ERR only CONFIG GET is supported: settings are in the node's configuration file")
	}
	if len(args) < 2 {
		return resp.AppendError(dst, kv.ArityError("config|get"))
	}
	settings := [][2]string{
		{"appendonly", "yes"}, // every write is in a synced log
		{"databases", "1"},
		{"maxclients", strconv.Itoa(c.server.cfg.MaxConnections)},
		{"proto-max-bulk-len", strconv.Itoa(c.server.cfg.MaxValueBytes)},
		{"save", ""},
	}
	var found [][2]string
	for _, s := range settings {
		for _, pattern := range args[1:] {
			// A pattern longer than any name needs no bound on its work beyond this.
			steps := 1 << 12
			if kv.Glob([]byte(strings.ToLower(string(pattern[:min(len(pattern), quotedBytesMax)]))), []byte(s[0]), &steps) {
				found = append(found, s)
				break
			}
		}
	}
	dst = resp.AppendArray(dst, 2*len(found))
	for _, s := range found {
		dst = resp.AppendBulk(resp.AppendBulk(dst, s[0]), s[1])
	}
	return dst
}
