package load

import (
	"bufio"
	"context"
	"net"
	"sync"
	"time"

	"github.com/hotstuffd/hotstuffd/app/kv/resp"
)

// server is a tiny server of the Redis protocol, over pipes: tests have their own clock.
type server struct {
	// reply answers the n-th command over all connections, from 0; an empty one ends the connection.
	reply func(n int, args []string) string

	mu       sync.Mutex
	commands [][]string
	dials    int
}

// dial makes a connection to the server.
func (s *server) dial(context.Context, string) (net.Conn, error) {
	client, mine := net.Pipe()
	s.mu.Lock()
	s.dials++
	s.mu.Unlock()
	arrived := make(chan []string, 1<<16)
	go func() {
		defer close(arrived)
		receive(mine, arrived)
	}()
	go func() {
		defer mine.Close()
		for args := range arrived {
			s.mu.Lock()
			n := len(s.commands)
			s.commands = append(s.commands, args)
			s.mu.Unlock()
			answer := s.reply(n, args)
			if answer == "" {
				return
			}
			if _, err := mine.Write([]byte(answer)); err != nil {
				return
			}
		}
	}()
	return client, nil
}

// receive passes commands on as they come, however slow the replies are.
func receive(conn net.Conn, arrived chan<- []string) {
	parser := resp.NewParser(resp.Limits{Arguments: 8, ArgumentBytes: 1 << 20, CommandBytes: 2 << 20})
	in := bufio.NewReader(conn)
	var buffer []byte
	for {
		piece := make([]byte, 64<<10)
		n, err := in.Read(piece)
		if err != nil {
			return
		}
		buffer = append(buffer, piece[:n]...)
		for {
			args, taken, err := parser.Next(buffer)
			if err != nil {
				panic(err) // the client under test does not speak the protocol
			}
			if taken == 0 {
				break
			}
			var words []string
			for _, a := range args {
				words = append(words, string(a))
			}
			buffer = buffer[taken:]
			arrived <- words
		}
	}
}

// after answers OK after a time.
func after(d time.Duration) func(int, []string) string {
	return func(int, []string) string {
		time.Sleep(d)
		return resp.OK
	}
}
