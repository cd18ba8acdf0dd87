package resp

import (
	"bytes"
	"fmt"
)

// nextInline parses a line of words.
func (p *Parser) nextInline(buf []byte) ([][]byte, int, error) {
	end := bytes.IndexByte(buf, '\n') // from the start each time: the line is short, and this is fast
	if end < 0 {
		if len(buf) > InlineBytesMax {
			return nil, 0, ProtocolError("too big inline request")
		}
		return nil, 0, nil
	}
	if end > InlineBytesMax || end > p.limits.CommandBytes {
		return nil, 0, ProtocolError("too big inline request")
	}
	args, err := p.words(bytes.TrimSuffix(buf[:end], []byte{'\r'}))
	if err != nil {
		return nil, 0, err
	}
	p.reset(args)
	return args, end + 1, nil
}

// words splits a line at its spaces. Words may be quoted: "a\x00\n" with escapes, 'a\'b' without others.
func (p *Parser) words(line []byte) ([][]byte, error) {
	args := p.args[:0]
	if cap(p.text) < len(line) {
		p.text = make([]byte, 0, len(line)) // words are never longer than their line, so that text does not move
	}
	text := p.text[:0]
	for i := 0; i < len(line); {
		if isSpace(line[i]) {
			i++
			continue
		}
		start, length := len(text), 0
		text, length = appendWord(text, line[i:])
		if length == 0 {
			return nil, ProtocolError("unbalanced quotes in request")
		}
		i += length
		word := text[start:len(text):len(text)]
		if len(args) == p.limits.Arguments {
			return nil, ProtocolError(fmt.Sprintf("more than %d arguments", p.limits.Arguments))
		}
		if len(word) > p.limits.ArgumentBytes {
			return nil, ProtocolError("invalid bulk length")
		}
		args = append(args, word)
	}
	return args, nil
}

// appendWord appends the word at the front of line, and returns its length in the line; 0 if its quotes do not match.
func appendWord(dst, line []byte) ([]byte, int) {
	var quote byte
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote == 0 && isSpace(c):
			return dst, i
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote == 0:
			dst = append(dst, c)
		case c == quote:
			if i+1 < len(line) && !isSpace(line[i+1]) {
				return dst, 0 // as Redis: a closing quote ends the word
			}
			quote = 0
		case c == '\\' && quote == '"' && i+3 < len(line) && line[i+1] == 'x' && isHex(line[i+2]) && isHex(line[i+3]):
			dst = append(dst, hex(line[i+2])<<4|hex(line[i+3]))
			i += 3
		case c == '\\' && quote == '"' && i+1 < len(line):
			i++
			dst = append(dst, escaped(line[i]))
		case c == '\\' && quote == '\'' && i+1 < len(line) && line[i+1] == '\'':
			i++
			dst = append(dst, '\'')
		default:
			dst = append(dst, c)
		}
	}
	if quote != 0 {
		return dst, 0
	}
	return dst, len(line)
}

func escaped(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'b':
		return '\b'
	case 'a':
		return '\a'
	}
	return c
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func hex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	default:
		return c - 'a' + 10
	}
}
