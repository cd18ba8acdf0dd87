package resp

import "strconv"

// OK is the reply of a command that has nothing else to say.
const OK = "+OK\r\n"

// Null is the reply for a value that does not exist.
const Null = "$-1\r\n"

// AppendError appends an error reply. Line breaks in text, which may quote what a client sent, become spaces: they
// would end the reply early.
func AppendError(dst []byte, text string) []byte {
	dst = append(dst, '-')
	for i := range len(text) {
		if c := text[i]; c == '\r' || c == '\n' {
			dst = append(dst, ' ')
		} else {
			dst = append(dst, c)
		}
	}
	return append(dst, '\r', '\n')
}

// AppendInt appends an integer reply.
func AppendInt(dst []byte, v int64) []byte { return appendHeader(dst, ':', v) }

// AppendArray appends the head of an array; its n elements are to follow.
func AppendArray(dst []byte, n int) []byte { return appendHeader(dst, '*', int64(n)) }

// AppendBulk appends a string of any bytes.
func AppendBulk[T ~[]byte | ~string](dst []byte, s T) []byte {
	dst = appendHeader(dst, '$', int64(len(s)))
	dst = append(dst, s...)
	return append(dst, '\r', '\n')
}

func appendHeader(dst []byte, kind byte, v int64) []byte {
	dst = append(dst, kind)
	dst = strconv.AppendInt(dst, v, 10)
	return append(dst, '\r', '\n')
}
