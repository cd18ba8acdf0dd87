package redis

import (
	"maps"
	"slices"

	"github.com/hotstuffd/hotstuffd/app/kv"
	"github.com/hotstuffd/hotstuffd/app/kv/resp"
)

// command answers COMMAND, which clients use to learn where the keys are. COMMAND DOCS is empty: redis-cli has its own.
func command(_ *conn, args [][]byte, dst []byte) []byte {
	if len(args) == 0 {
		return appendCommands(dst)
	}
	switch lower(args[0]) {
	case "count":
		return resp.AppendInt(dst, int64(len(kv.Commands())+len(locals)))
	case "docs":
		return resp.AppendArray(dst, 0)
	case "info":
		if len(args) == 1 {
			return appendCommands(dst)
		}
		dst = resp.AppendArray(dst, len(args)-1)
		for _, name := range args[1:] {
			dst = appendCommandNamed(dst, name)
		}
		return dst
	}
	return unknownSubcommand(dst, "COMMAND", args[0])
}

func unknownSubcommand(dst []byte, name string, sub []byte) []byte {
	return resp.AppendError(dst, "ERR unknown subcommand '"+string(sub[:min(len(sub), quotedBytesMax)])+"'. Try "+name+" HELP.")
}

func appendCommands(dst []byte) []byte {
	all := kv.Commands()
	dst = resp.AppendArray(dst, len(all)+len(locals))
	for i := range all {
		dst = appendStoreCommand(dst, &all[i])
	}
	for _, name := range slices.Sorted(maps.Keys(locals)) {
		dst = appendLocalCommand(dst, name)
	}
	return dst
}

func appendCommandNamed(dst, name []byte) []byte {
	if c, ok := kv.Lookup(name); ok {
		return appendStoreCommand(dst, c)
	}
	if _, ok := locals[lower(name)]; ok {
		return appendLocalCommand(dst, lower(name))
	}
	return append(dst, "*-1\r\n"...)
}

func appendStoreCommand(dst []byte, c *kv.Command) []byte {
	flag := "readonly"
	if c.Write {
		flag = "write"
	}
	return appendCommandInfo(dst, c.Name, c.Arity, flag, c.FirstKey, c.LastKey, c.KeyStep)
}

func appendLocalCommand(dst []byte, name string) []byte {
	flag := "fast"
	if locals[name].take != nil {
		flag = "write"
	}
	return appendCommandInfo(dst, name, locals[name].arity, flag, 0, 0, 0)
}

// appendCommandInfo appends the six fields that every version of Redis has.
func appendCommandInfo(dst []byte, name string, arity int, flag string, first, last, step int) []byte {
	dst = resp.AppendBulk(resp.AppendArray(dst, 6), name)
	dst = resp.AppendInt(dst, int64(arity))
	dst = append(append(resp.AppendArray(dst, 1), '+'), flag...)
	dst = append(dst, '\r', '\n')
	dst = resp.AppendInt(dst, int64(first))
	dst = resp.AppendInt(dst, int64(last))
	return resp.AppendInt(dst, int64(step))
}
