package resp

import "fmt"

// Limits bounds one command. All must be positive.
type Limits struct {
	Arguments     int // words of a command, its name included
	ArgumentBytes int // of one word
	CommandBytes  int // of the whole command as sent, with its framing
}

// InlineBytesMax bounds an inline command: a line of words, as a person types it into netcat.
const InlineBytesMax = 64 << 10

// headerBytesMax bounds a length line, "*3\r\n" or "$128\r\n". The longest 64-bit number needs 23 bytes.
const headerBytesMax = 32

// keptArguments is how many arguments' bookkeeping a parser keeps between commands; more is given back.
const keptArguments = 1024

// ProtocolError means that the client does not speak the protocol, or broke a limit. What follows on the connection
// cannot be understood: send the error and close.
type ProtocolError string

func (e ProtocolError) Error() string { return "Protocol error: " + string(e) }

// Parser splits a byte stream into commands. It belongs to one goroutine.
type Parser struct {
	limits Limits

	// Progress inside the command at the front of the buffer, so that each byte is looked at once however it arrives.
	want  int    // arguments announced; 0: the head was not read yet
	spans []span // arguments read, relative to the command's start
	bulk  int    // length of the argument that is being read; -1: its head was not read yet
	pos   int    // bytes parsed

	args [][]byte
	text []byte // arguments of an inline command, without quotes and escapes
}

type span struct{ from, to int }

// NewParser returns a parser at the start of a stream.
func NewParser(limits Limits) *Parser { return &Parser{limits: limits, bulk: -1} }

// Next parses the command at the front of buf. n is the number of bytes it takes; 0 means that more are needed, and then
// Next must be called with the same bytes and more behind them. args are valid until the next call, and point into buf.
// An empty command (a blank line, "*0") has no args; it gets no reply.
// Expected error: a ProtocolError; the parser is of no use after it.
func (p *Parser) Next(buf []byte) (args [][]byte, n int, err error) {
	if p.want == 0 {
		if len(buf) == 0 {
			return nil, 0, nil
		}
		if buf[0] != '*' {
			return p.nextInline(buf)
		}
		count, after, err := header(buf, 1, "invalid multibulk length")
		if err != nil || after == 0 {
			return nil, 0, err
		}
		if count < 0 || count > int64(p.limits.Arguments) {
			return nil, 0, ProtocolError("invalid multibulk length")
		}
		if count == 0 {
			return nil, after, nil
		}
		p.want, p.pos = int(count), after
	}
	for len(p.spans) < p.want {
		if ok, err := p.argument(buf); !ok || err != nil {
			return nil, 0, err
		}
	}
	args = p.args[:0]
	for _, s := range p.spans {
		args = append(args, buf[s.from:s.to:s.to])
	}
	n = p.pos
	p.reset(args)
	return args, n, nil
}

// argument reads one "$3\r\nfoo\r\n". ok is false if it is not all there.
func (p *Parser) argument(buf []byte) (ok bool, err error) {
	if p.bulk < 0 {
		if p.pos == len(buf) {
			return false, nil
		}
		if buf[p.pos] != '$' {
			return false, ProtocolError(fmt.Sprintf("expected '$', got %q", buf[p.pos]))
		}
		length, after, err := header(buf, p.pos+1, "invalid bulk length")
		if err != nil || after == 0 {
			return false, err
		}
		if length < 0 || length > int64(p.limits.ArgumentBytes) {
			return false, ProtocolError("invalid bulk length")
		}
		if after+int(length)+2 > p.limits.CommandBytes {
			return false, ProtocolError(fmt.Sprintf("command longer than %d bytes", p.limits.CommandBytes))
		}
		p.bulk, p.pos = int(length), after
	}
	end := p.pos + p.bulk
	if len(buf) < end+2 {
		return false, nil
	}
	if buf[end] != '\r' || buf[end+1] != '\n' {
		return false, ProtocolError("expected CRLF after bulk string")
	}
	p.spans = append(p.spans, span{p.pos, end})
	p.bulk, p.pos = -1, end+2
	return true, nil
}

// reset makes the parser ready for the next command, and keeps args for reuse unless they are many.
func (p *Parser) reset(args [][]byte) {
	p.want, p.pos = 0, 0
	p.spans, p.args = p.spans[:0], args
	if cap(args) > keptArguments {
		p.spans, p.args = nil, nil
	}
}

// header reads a number and the line end behind it. after is where the next line starts; 0: more bytes are needed.
func header(buf []byte, from int, complaint string) (v int64, after int, err error) {
	for i := from; i < len(buf); i++ {
		if i-from > headerBytesMax {
			return 0, 0, ProtocolError(complaint)
		}
		if buf[i] != '\r' {
			continue
		}
		v, ok := ParseInt(buf[from:i])
		if !ok {
			return 0, 0, ProtocolError(complaint)
		}
		if i+1 == len(buf) {
			return 0, 0, nil
		}
		if buf[i+1] != '\n' {
			return 0, 0, ProtocolError(complaint)
		}
		return v, i + 2, nil
	}
	return 0, 0, nil
}
