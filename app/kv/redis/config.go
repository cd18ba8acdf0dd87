package redis

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/hotstuffd/hotstuffd/app/kv/resp"
)

// Config is how the front end serves. Fields without a word about zero must be positive.
type Config struct {
	Listen       string        // TCP address, host:port
	Timeout      time.Duration // a command without a result by then is answered with "-TIMEOUT outcome unknown"
	WriteTimeout time.Duration // a client that takes in no reply bytes for so long is cut off; 0: writeTimeoutDefault

	MaxConnections  int // clients beyond get "-ERR max number of clients reached"
	MaxValueBytes   int // of one argument; one announced as longer is a protocol error
	MaxPipeline     int // commands of one request
	MaxRequestBytes int // of one request, and of one command as sent; at least MaxValueBytes and requestFrameBytes

	// Replied is told of each request how long after its execution its reply was with the connection; nil: nobody is. Any
	// goroutine may call it.
	Replied func(after time.Duration)
	Info    func() []InfoField // what INFO says besides; nil: nothing. Any goroutine may call it.
	Logger  *slog.Logger       // nil: silent
}

// InfoField is one line of INFO.
type InfoField struct{ Section, Name, Value string }

const (
	// requestsMax bounds the requests of one connection that are under way, and those whose replies wait for the client.
	requestsMax = 8
	// argumentsMax bounds the words of one command.
	argumentsMax = 16 << 10
	// valueRepliesMax bounds the writes in one request that answer with a value, such as GETSET: a small command that
	// asks for a large value again and again would otherwise make a reply that fills the memory. Replies to reads are
	// bounded by the store.
	valueRepliesMax = 16
	// readBufferMin is what a connection reads into at first, readBufferMax what one that sends much reads into. Only a
	// single command that is larger makes it grow further, up to its own size.
	readBufferMin = 16 << 10
	readBufferMax = 64 << 10
	// writeChunkBytes is how much is sent at a time: a slow client has WriteTimeout for each.
	writeChunkBytes = 64 << 10
	// keptBytes is how large a buffer of a request may be to be used again.
	keptBytes = 256 << 10
	// requestFrameBytes is room for the key and the framing of a command with the largest value.
	requestFrameBytes = resp.InlineBytesMax + 4096
	// writeTimeoutDefault stands in for a WriteTimeout of 0.
	writeTimeoutDefault = 10 * time.Second
	// acceptRetry is the pause after a failed accept, such as one for want of file descriptors.
	acceptRetry = 100 * time.Millisecond
)

func (c *Config) check() error {
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"Timeout", int64(c.Timeout)}, {"MaxConnections", int64(c.MaxConnections)}, {"MaxValueBytes", int64(c.MaxValueBytes)},
		{"MaxPipeline", int64(c.MaxPipeline)},
	} {
		if f.value <= 0 {
			return fmt.Errorf("redis: %s must be positive", f.name)
		}
	}
	if least := c.MaxValueBytes + requestFrameBytes; c.MaxRequestBytes < least {
		return fmt.Errorf("redis: MaxRequestBytes is %d, too small for values of %d bytes: make it at least %d",
			c.MaxRequestBytes, c.MaxValueBytes, least)
	}
	if c.WriteTimeout < 0 {
		return fmt.Errorf("redis: WriteTimeout is negative")
	}
	return nil
}

func (c *Config) limits() resp.Limits {
	return resp.Limits{Arguments: argumentsMax, ArgumentBytes: c.MaxValueBytes, CommandBytes: c.MaxRequestBytes}
}
