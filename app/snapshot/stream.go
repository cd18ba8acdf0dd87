package snapshot

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"
)

// bufferBytes is the buffer of a stream, and the most that a Reader allocates for the word of a length alone.
const bufferBytes = 64 << 10

// Writer writes a snapshot. Its errors stay until Close.
type Writer struct {
	buf *bufio.Writer
	out counter
}

// counter counts what was written.
type counter struct {
	w   io.Writer
	n   int64
	err error
}

func (c *counter) Write(p []byte) (n int, err error) {
	n, c.err = c.w.Write(p)
	c.n += int64(n)
	return n, c.err
}

// NewWriter returns a writer to w.
func NewWriter(w io.Writer) *Writer {
	s := &Writer{out: counter{w: w}}
	s.buf = bufio.NewWriterSize(&s.out, bufferBytes)
	return s
}

// Bytes writes b as it is.
func (s *Writer) Bytes(b []byte) { _, _ = s.buf.Write(b) }

// String writes t as it is.
func (s *Writer) String(t string) { _, _ = s.buf.WriteString(t) }

// Uint64 writes a number in 8 bytes.
func (s *Writer) Uint64(n uint64) {
	_, _ = s.buf.Write(binary.BigEndian.AppendUint64(s.buf.AvailableBuffer(), n))
}

// Length writes the length of something: a uvarint.
func (s *Writer) Length(n int) {
	_, _ = s.buf.Write(binary.AppendUvarint(s.buf.AvailableBuffer(), uint64(n)))
}

// Failed tells that writing on makes no sense.
func (s *Writer) Failed() bool { return s.out.err != nil }

// Close writes out what is left, and returns how many bytes were written and the first error.
func (s *Writer) Close() (int64, error) {
	err := s.buf.Flush()
	return s.out.n, err
}

// ErrMalformed: the bytes are no snapshot of such a state, whatever they are.
var ErrMalformed = errors.New("not a snapshot of this state")

// Reader reads a snapshot, whoever wrote it. After an error, which Err returns, everything reads as zero and empty.
type Reader struct {
	r   *bufio.Reader
	err error
}

// NewReader returns a reader of r.
func NewReader(r io.Reader) *Reader { return &Reader{r: bufio.NewReaderSize(r, bufferBytes)} }

// Err returns the first error: ErrMalformed, io.ErrUnexpectedEOF, or one of the underlying reader.
func (s *Reader) Err() error { return s.err }

// Refuse makes ErrMalformed the error, unless there is one, and says why.
func (s *Reader) Refuse(format string, args ...any) {
	s.fail(fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...)))
}

func (s *Reader) fail(err error) {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF // only End expects it
	}
	if s.err == nil {
		s.err = err
	}
}

// Take appends the next n bytes to buf. It makes room as they come: n is a stranger's word.
func (s *Reader) Take(buf []byte, n int) []byte {
	for n > 0 && s.err == nil {
		from, piece := len(buf), min(n, bufferBytes)
		buf = slices.Grow(buf, piece)[:from+piece]
		if _, err := io.ReadFull(s.r, buf[from:]); err != nil {
			s.fail(err)
		}
		n -= piece
	}
	if s.err != nil {
		return nil
	}
	return buf
}

// Byte reads one byte.
func (s *Reader) Byte() byte {
	if s.err != nil {
		return 0
	}
	b, err := s.r.ReadByte()
	if err != nil {
		s.fail(err)
	}
	return b
}

// Uint64 reads a number of 8 bytes.
func (s *Reader) Uint64() uint64 {
	var room [8]byte
	if b := s.Take(room[:0], 8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// Length reads a length, of at most limit, in its shortest form.
func (s *Reader) Length(limit int) int {
	n, size := uint64(0), 0
	for more := true; more; size++ {
		b := s.Byte()
		if size == binary.MaxVarintLen64-1 { // 63 bits are enough for any limit
			s.Refuse("a length of more than %d bytes", size)
		}
		n |= uint64(b&0x7f) << (7 * size)
		more = b >= 0x80 && s.err == nil
	}
	switch shortest := (bits.Len64(n|1) + 6) / 7; {
	case s.err != nil:
	case size != shortest:
		s.Refuse("length %d in %d bytes", n, size)
	case n > uint64(limit):
		s.Refuse("length %d, above the limit of %d", n, limit)
	default:
		return int(n)
	}
	return 0
}

// Expect reads what every snapshot has here.
func (s *Reader) Expect(want string) {
	if got := s.Take(nil, len(want)); string(got) != want {
		s.Refuse("%q in the place of %q", got, want)
	}
}

// End reads the end of the stream: nothing may follow.
func (s *Reader) End() {
	if s.err != nil {
		return
	}
	switch _, err := s.r.ReadByte(); err {
	case io.EOF:
	case nil:
		s.Refuse("bytes behind its end")
	default:
		s.fail(err)
	}
}
