package hsnet

import (
	"encoding/binary"
	"sync"
)

const (
	// coalesceBytes is how much of queued small frames goes into one write.
	coalesceBytes = 64 << 10
	// copyBytesMax is the largest frame that is copied into such a write; larger ones are written as they are.
	copyBytesMax = 16 << 10
)

// queue holds the frames of one class that wait for one connection. It is bounded in frames and bytes (Limits); when it
// is full it drops its oldest frames or refuses the new one, as the class says. Safe for concurrent use.
type queue struct {
	limits     Limits
	dropOldest bool
	ready      chan struct{} // capacity 1: there may be something to take

	mu     sync.Mutex
	frames [][]byte // those from head on are waiting
	head   int
	bytes  int
	closed bool
}

func newQueue(class Class, limits Limits) *queue {
	return &queue{limits: limits, dropOldest: class == Consensus, ready: make(chan struct{}, 1)}
}

// push queues a frame, which must not change any more. It never blocks. displaced is how many older frames it dropped
// to make room; why says why the frame was refused, when queued is false.
func (q *queue) push(frame []byte) (queued bool, displaced int, why DropReason) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false, 0, DropDown
	}
	for q.full(len(frame)) {
		if !q.dropOldest {
			return false, 0, DropFull
		}
		q.pop()
		displaced++
	}
	q.frames = append(q.frames, frame)
	q.bytes += len(frame)
	select {
	case q.ready <- struct{}{}:
	default: // the writer has a wake-up waiting already
	}
	return true, displaced, 0
}

func (q *queue) full(next int) bool {
	return len(q.frames)-q.head >= q.limits.QueueFrames || q.bytes+next > q.limits.QueueBytes
}

// pop removes the oldest frame. Dropped slots are reused once half of the slice is dead, so it stays within twice the bound.
func (q *queue) pop() []byte {
	frame := q.frames[q.head]
	q.frames[q.head] = nil
	q.head++
	q.bytes -= len(frame)
	if q.head*2 >= len(q.frames) {
		n := copy(q.frames, q.frames[q.head:])
		clear(q.frames[n:])
		q.frames, q.head = q.frames[:n], 0
	}
	return frame
}

// take removes the oldest frames and appends them to buf as they go on the wire, as many small ones as fit into its
// capacity. When a large frame is next and buf is empty, only its header is appended, and the frame itself is
// returned in large, to be written without a copy. buf comes back empty when nothing waits. taken counts frames and bytes.
func (q *queue) take(buf []byte) (wire, large []byte, taken Traffic) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.head < len(q.frames) {
		next := q.frames[q.head]
		if len(next) > copyBytesMax {
			if len(buf) > 0 {
				break
			}
			q.pop()
			return appendHeader(buf, len(next)), next, Traffic{Frames: 1, Bytes: uint64(len(next))}
		}
		if len(buf)+headerSize+len(next) > cap(buf) {
			break
		}
		q.pop()
		buf = append(appendHeader(buf, len(next)), next...)
		taken.Frames++
		taken.Bytes += uint64(len(next))
	}
	return buf, nil, taken
}

// close refuses all further frames and returns how many were still waiting.
func (q *queue) close() (lost int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	lost = len(q.frames) - q.head
	q.frames, q.head, q.bytes, q.closed = nil, 0, 0, true
	return lost
}

func appendHeader(buf []byte, size int) []byte {
	return binary.BigEndian.AppendUint32(buf, uint32(size))
}
