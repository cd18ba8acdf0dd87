package resp_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hotstuffd/hotstuffd/app/kv/resp"
)

var limits = resp.Limits{Arguments: 1024, ArgumentBytes: 1 << 20, CommandBytes: 4 << 20}

// parseAll parses a stream that arrives in two pieces, and returns its commands, each as its words quoted.
func parseAll(stream []byte, split int) (commands []string, rest int, err error) {
	p := resp.NewParser(limits)
	for _, received := range [][]byte{stream[:split], stream} {
		for {
			args, n, err := p.Next(received[rest:])
			if err != nil || n > len(received)-rest {
				return commands, rest, err
			}
			if n == 0 {
				break
			}
			rest += n
			if len(args) > 0 {
				commands = append(commands, fmt.Sprintf("%q", args))
			}
		}
	}
	return commands, len(stream) - rest, nil
}

func TestCommands(t *testing.T) {
	for stream, want := range map[string][]string{
		"*1\r\n$4\r\nPING\r\n":                             {`["PING"]`},
		"*2\r\n$3\r\nGET\r\n$0\r\n\r\n*1\r\n$1\r\nx\r\n":   {`["GET" ""]`, `["x"]`},
		"*2\r\n$3\r\na\r\n\r\n$2\r\n\x00\xff\r\n":          {`["a\r\n" "\x00\xff"]`},
		"*0\r\n\r\n\n  \r\n*1\r\n$1\r\nx\r\n":              {`["x"]`},
		"PING\r\n":                                         {`["PING"]`},
		"SET a  b\nGET\ta\r\n":                             {`["SET" "a" "b"]`, `["GET" "a"]`},
		`SET "a b" "\x41\n\r\t\a\b\"\\\q"` + "\r\n":        {`["SET" "a b" "A\n\r\t\a\b\"\\q"]`},
		`SET 'a "b"' 'it\'s \n' ''` + "\r\n":               {`["SET" "a \"b\"" "it's \\n" ""]`},
		`SET a"b"` + "\r\n":                                {`["SET" "ab"]`},
		"*1\r\n$4\r\nPING\r\nPING\r\n*1\r\n$4\r\nPING\r\n": {`["PING"]`, `["PING"]`, `["PING"]`},
	} {
		for split := range len(stream) {
			got, rest, err := parseAll([]byte(stream), split)
			if err != nil || rest != 0 || !slices.Equal(got, want) {
				t.Errorf("%q cut at %d: %q, %d bytes left, %v", stream, split, got, rest, err)
			}
		}
	}
}

func TestProtocolErrors(t *testing.T) {
	for stream, want := range map[string]string{
		"*1\r\n$9223372036854775807\r\n":           "invalid bulk length",
		"*1\r\n$9223372036854775808\r\n":           "invalid bulk length",
		"*1\r\n$1048577\r\n":                       "invalid bulk length",
		"*1\r\n$-1\r\n":                            "invalid bulk length",
		"*1\r\n$-2\r\n":                            "invalid bulk length",
		"*1\r\n$\r\n":                              "invalid bulk length",
		"*1\r\n$1\rx":                              "invalid bulk length",
		"*1\r\n$+1\r\n":                            "invalid bulk length",
		"*1\r\n$" + strings.Repeat("1", 40):        "invalid bulk length",
		"*1\r\n:1\r\n":                             "expected '$', got ':'",
		"*-1\r\n":                                  "invalid multibulk length",
		"*-9223372036854775808\r\n":                "invalid multibulk length",
		"*1025\r\n":                                "invalid multibulk length",
		"*1000000\r\n":                             "invalid multibulk length",
		"*9223372036854775807\r\n":                 "invalid multibulk length",
		"*1x\r\n":                                  "invalid multibulk length",
		"*1\n$4\nPING\n" + strings.Repeat(" ", 40): "invalid multibulk length",
		"*1\r\n$4\r\nPINGxx":                       "expected CRLF after bulk string",
		"*1\r\n$4\r\nPING\r\r":                     "expected CRLF after bulk string",
		strings.Repeat("x", resp.InlineBytesMax+1): "too big inline request",
		strings.Repeat("x", 2*resp.InlineBytesMax): "too big inline request",
		"SET \"a\r\n":                              "unbalanced quotes in request",
		"SET 'a\r\n":                               "unbalanced quotes in request",
		"SET \"a\"b\r\n":                           "unbalanced quotes in request",
		strings.Repeat("x ", 1025) + "\r\n":        "more than 1024 arguments",
		"*5" + strings.Repeat("\r\n$1048576\r\n"+strings.Repeat("x", 1<<20), 4): "command longer than 4194304 bytes",
	} {
		_, _, err := parseAll([]byte(stream), len(stream)/2)
		var protocol resp.ProtocolError
		if !errors.As(err, &protocol) || err.Error() != "Protocol error: "+want {
			t.Errorf("%.40q: %v, want %s", stream, err, want)
		}
	}
}

// A command that comes byte by byte must not be read from its start for every byte.
func TestDrippedCommandsTakeLinearTime(t *testing.T) {
	many := "*1000\r\n" + strings.Repeat("$600\r\n"+strings.Repeat("y", 600)+"\r\n", 1000)
	for name, stream := range map[string]string{
		"one long argument": "*1\r\n$600000\r\n" + strings.Repeat("x", 600_000) + "\r\n",
		"many arguments":    many,
		"inline":            strings.Repeat("x", 60_000) + "\n",
	} {
		p, bytes, start, commands := resp.NewParser(limits), []byte(stream), time.Now(), 0
		for i := range len(bytes) + 1 {
			_, n, err := p.Next(bytes[:i:i])
			if err != nil {
				t.Fatal(err)
			}
			if n == len(stream) {
				commands++
			}
		}
		if d := time.Since(start); commands != 1 || d > 2*time.Second {
			t.Errorf("%s: %d commands in %v", name, commands, d)
		}
	}
}

// Announcing much must not cost memory: only bytes that came do.
func TestAnnouncedLengthsAllocateNothing(t *testing.T) {
	p := resp.NewParser(limits)
	stream := []byte("*1024\r\n$1048576\r\n")
	if allocs := testing.AllocsPerRun(100, func() {
		if _, n, err := p.Next(stream); n != 0 || err != nil {
			t.Fatal(n, err)
		}
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestParseInt(t *testing.T) {
	for _, s := range []string{"0", "1", "-1", "10", "9223372036854775807", "-9223372036854775808", "999999999999999999"} {
		if v, ok := resp.ParseInt([]byte(s)); !ok || strconv.FormatInt(v, 10) != s {
			t.Errorf("%s: %d, %v", s, v, ok)
		}
	}
	for _, s := range []string{"", "-", "+1", "01", "-0", "00", " 1", "1 ", "1.0", "0x1", "--1", "9223372036854775808",
		"-9223372036854775809", "18446744073709551616", "99999999999999999999"} {
		if v, ok := resp.ParseInt([]byte(s)); ok {
			t.Errorf("%q gives %d", s, v)
		}
	}
}

func TestErrorsStayOneLine(t *testing.T) {
	if got := string(resp.AppendError(nil, "ERR unknown command 'a\r\n+OK'")); got != "-ERR unknown command 'a  +OK'\r\n" {
		t.Errorf("%q", got)
	}
}

// Wherever a stream is cut, it gives the same commands and the same error.
func FuzzParser(f *testing.F) {
	f.Add([]byte("*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING\r\n"), uint16(7))
	f.Add([]byte("*1\r\n$9223372036854775807\r\n"), uint16(5))
	f.Add([]byte("SET \"a\\x00\" 'b'\r\n*0\r\n*-1\r\n"), uint16(9))
	f.Fuzz(func(t *testing.T, stream []byte, at uint16) {
		split := int(at) % (len(stream) + 1)
		whole, rest, err := parseAll(stream, 0)
		cut, restCut, errCut := parseAll(stream, split)
		if !slices.Equal(whole, cut) || rest != restCut || fmt.Sprint(err) != fmt.Sprint(errCut) {
			t.Fatalf("cut at %d: %q %d %v, whole: %q %d %v", split, cut, restCut, errCut, whole, rest, err)
		}
	})
}

func FuzzParseInt(f *testing.F) {
	f.Add("-9223372036854775808")
	f.Fuzz(func(t *testing.T, s string) {
		v, ok := resp.ParseInt([]byte(s))
		want, err := strconv.ParseInt(s, 10, 64)
		if exact := err == nil && strconv.FormatInt(want, 10) == s; ok != exact || ok && v != want {
			t.Fatalf("%q: %d, %v", s, v, ok)
		}
	})
}

// pipeline is 64 SETs of 128 bytes.
func pipeline() []byte {
	one := "*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000001\r\n$128\r\n" + strings.Repeat("x", 128) + "\r\n"
	return bytes.Repeat([]byte(one), 64)
}

// A parser that has seen a command of this size takes no memory for the next.
func TestPipelinesAllocateNothing(t *testing.T) {
	stream, p := pipeline(), resp.NewParser(limits)
	if allocs := testing.AllocsPerRun(100, func() {
		for rest := stream; len(rest) > 0; {
			_, n, err := p.Next(rest)
			if n == 0 || err != nil {
				t.Fatal(n, err)
			}
			rest = rest[n:]
		}
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// BenchmarkParse parses a pipeline; the unit is one command.
func BenchmarkParse(b *testing.B) {
	stream := pipeline()
	p, rest := resp.NewParser(limits), stream
	b.ReportAllocs()
	for b.Loop() {
		_, n, err := p.Next(rest)
		if err != nil || n == 0 {
			b.Fatal(n, err)
		}
		if rest = rest[n:]; len(rest) == 0 {
			rest = stream
		}
	}
}
