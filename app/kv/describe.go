package kv

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	describedBytes     = 64 // of one argument
	describedArguments = 8
)

// Describe shows a command as one printable line, such as `SET x 1`: long and many arguments are cut, and those that do
// not print or are empty are quoted. Any goroutine may call it.
func (s *Store) Describe(command []byte) string {
	c, args, complaint := decode(command)
	if complaint != "" {
		return fmt.Sprintf("invalid command of %d bytes", len(command))
	}
	line := []byte(strings.ToUpper(c.Name))
	for i := 0; args.left > 0; i++ {
		if i == describedArguments {
			return fmt.Sprintf("%s ... (%d more)", line, args.left)
		}
		line = appendDescribed(append(line, ' '), args.next())
	}
	return string(line)
}

func appendDescribed(line, arg []byte) []byte {
	shown := string(arg[:min(len(arg), describedBytes)])
	if quoted := strconv.QuoteToASCII(shown); shown == "" || strings.Contains(shown, " ") || quoted[1:len(quoted)-1] != shown {
		shown = quoted
	}
	line = append(line, shown...)
	if len(arg) > describedBytes {
		line = fmt.Appendf(line, "...(%d bytes)", len(arg))
	}
	return line
}
