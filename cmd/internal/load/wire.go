package load

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/hotstuffd/hotstuffd/app/kv/resp"
)

// requests is a client's buffer of SETs of one size, built once: only keys and values are written anew.
type requests struct {
	buffer []byte
	size   int // of one request
	key    int // where in a request the digits of the key begin
	value  int // and the value
	length int // of the value
	keys   uint64
	random *rand.Rand
}

const (
	keyPrefix = "key:"
	keyDigits = 12
)

func newRequests(count, payload, keys int, random *rand.Rand) *requests {
	one := resp.AppendArray(nil, 3)
	// A request has the layout of an array of bulk strings, as replies have it.
	one = resp.AppendBulk(one, "SET")
	one = resp.AppendBulk(one, keyPrefix+"000000000000")
	r := &requests{key: len(one) - len("\r\n") - keyDigits, length: payload, keys: uint64(keys), random: random}
	one = resp.AppendBulk(one, make([]byte, payload))
	r.size, r.value = len(one), len(one)-len("\r\n")-payload
	for range count {
		r.buffer = append(r.buffer, one...)
	}
	return r
}

// room is how many requests the buffer holds.
func (r *requests) room() int { return len(r.buffer) / r.size }

// fill writes new keys and values into the first count requests, and returns their bytes. Values are random: each differs,
// and none can be compressed.
func (r *requests) fill(count int) []byte {
	batch := r.buffer[:count*r.size]
	for at := 0; at < len(batch); at += r.size {
		key := r.random.Uint64N(r.keys)
		for i := keyDigits - 1; i >= 0; i-- {
			batch[at+r.key+i] = '0' + byte(key%10)
			key /= 10
		}
		value := batch[at+r.value : at+r.value+r.length]
		for len(value) >= 8 {
			binary.LittleEndian.PutUint64(value, r.random.Uint64())
			value = value[8:]
		}
		if len(value) > 0 {
			var last [8]byte
			binary.LittleEndian.PutUint64(last[:], r.random.Uint64())
			copy(value, last[:])
		}
	}
	return batch
}

// errNotRedis means that what answers does not speak the protocol.
var errNotRedis = errors.New("that is no reply of the Redis protocol: is this the address of a Redis server, or a node's clients.listen?")

// repliesBytes is the size of a reader of replies; a line of a reply, such as an error's text, must fit into it.
const repliesBytes = 64 << 10

// readReply reads one reply. refusal is the text of an error reply; it is valid until the next read.
// Expected errors: errNotRedis, wrapped; those of the connection.
func readReply(in *bufio.Reader) (refusal []byte, err error) {
	line, err := in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("a line of %d bytes: %w", len(line), errNotRedis)
	} else if err != nil {
		return nil, err
	}
	if len(line) < 3 || line[len(line)-2] != '\r' {
		return nil, fmt.Errorf("%q: %w", line, errNotRedis)
	}
	text := line[1 : len(line)-2]
	switch line[0] {
	case '+', ':':
		return nil, nil
	case '-':
		return text, nil
	case '$':
		length, ok := resp.ParseInt(text)
		if ok && length >= -1 {
			if length >= 0 {
				_, err = in.Discard(int(length) + len("\r\n"))
			}
			return nil, err
		}
	}
	return nil, fmt.Errorf("%q: %w", line, errNotRedis)
}
