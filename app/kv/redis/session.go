package redis

import (
	"github.com/hotstuffd/hotstuffd/app/kv"
	"github.com/hotstuffd/hotstuffd/app/kv/resp"
	"github.com/hotstuffd/hotstuffd/app/session"
)

// Commands that Redis does not have: SESSION opens a session, and ONCE id seq command args... has a command executed once
// under its number, whatever how often it is sent, and to which node.

// words are the outcomes of sessions as replies.
type words struct{}

// Opened implements session.Words.
func (words) Opened(reply []byte, id uint64) []byte { return resp.AppendInt(reply, int64(id)) }

// Refused implements session.Words.
func (words) Refused(reply []byte, o session.Outcome) []byte {
	switch o {
	case session.Expired:
		return resp.AppendError(reply, "SESSION_EXPIRED no such session, or it was evicted: the command is not executed, and may have been before")
	case session.Ahead:
		return resp.AppendError(reply, "ERR the sequence number is too far ahead of the least one that is missing: not executed")
	case session.Taken:
		return resp.AppendError(reply, "ERR another command was executed under this number: not executed")
	case session.Forgotten:
		return resp.AppendError(reply, "ERR executed before; its result is not kept any more")
	}
	return resp.AppendError(reply, "ERR sequence numbers begin at 1: not executed")
}

func (c *conn) takeSession([][]byte) (more bool) {
	r, ok := c.requestFor(1, false)
	if !ok {
		return false
	}
	r.addOpen()
	return c.sendIfFull()
}

func (c *conn) takeOnce(args [][]byte) (more bool) {
	refuse := func(complaint string) bool {
		return c.literal(func(dst []byte) []byte { return resp.AppendError(dst, complaint) })
	}
	id, okID := resp.ParseInt(args[0])
	seq, okSeq := resp.ParseInt(args[1])
	if !okID || !okSeq || id < 0 || seq < 0 {
		return refuse("ERR value is not an integer or out of range")
	}
	command, ok := kv.Lookup(args[2])
	if !ok {
		if _, isLocal := locals[lower(args[2])]; isLocal {
			return refuse("ERR ONCE takes a command of the store")
		}
		return c.literal(func(dst []byte) []byte { return appendUnknown(dst, args[2:]) })
	}
	if !command.Write {
		return refuse("ERR ONCE takes commands that write: a read may be sent again as it is")
	}
	if args = args[2:]; !command.Takes(len(args)) {
		return refuse(kv.ArityError(command.Name))
	}
	args = args[1:]
	size := kv.CommandSize(args)
	r, ok := c.requestFor(session.OnceSize(size), command.ReturnsValue(1+len(args)))
	if !ok {
		return false
	}
	r.addOnce(uint64(id), uint64(seq), command, size, args)
	return c.sendIfFull()
}

// addOpen appends a command that opens a session.
func (r *request) addOpen() {
	r.Blob = session.AppendOpen(r.Blob)
	r.Count++
	r.commands++
}

// addOnce appends a command that is executed once.
func (r *request) addOnce(id, seq uint64, c *kv.Command, size int, args [][]byte) {
	r.Blob = session.AppendOnce(r.Blob, id, seq, size)
	r.Blob = kv.AppendCommand(r.Blob, c.Op, args...)
	r.Count++
	r.commands++
	if c.ReturnsValue(1 + len(args)) {
		r.valueReplies++
	}
}
