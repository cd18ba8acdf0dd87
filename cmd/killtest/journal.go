package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
)

// logLine is how a line of the log begins; what a program prints that does not start, or panics, does not.
const logLine = `{"time":`

// journal reads the log of one node, life after life, piece by piece.
type journal struct {
	path string
	node int
	line func([]byte) error // is given each whole line
	at   int64              // what lies before was read
}

// read takes the whole lines that have come. The node may be writing.
func (j *journal) read() error {
	_, err := j.take()
	return err
}

// close takes what is left when the node's process has ended. A kill may have cut the last line short; then it is ended
// here, or the next life's first line would be taken for its rest.
func (j *journal) close(killed bool) error {
	rest, err := j.take()
	if err != nil || len(rest) == 0 {
		return err
	}
	if !killed {
		return fmt.Errorf("node %d: its log ends within a line, though it was not killed: %.200s", j.node, rest)
	}
	f, err := os.OpenFile(j.path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteString("\n"); err != nil {
		return err
	}
	j.at += int64(len(rest)) + 1
	return f.Close()
}

// take hands over the lines that have come, and returns what stands behind the last one.
func (j *journal) take() (rest []byte, err error) {
	f, err := os.Open(j.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := f.Seek(j.at, io.SeekStart); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	whole := bytes.LastIndexByte(text, '\n') + 1
	for line := range bytes.Lines(text[:whole]) {
		if err := j.line(bytes.TrimSuffix(line, []byte("\n"))); err != nil {
			return nil, err
		}
	}
	j.at += int64(whole)
	return text[whole:], nil
}

// Bounds of lastWords.
const tailBytes, wordsMax = 64 << 10, 4

// lastWords returns what the node has said at the end beside its log, such as why it stops.
func (j *journal) lastWords() string {
	text, err := os.ReadFile(j.path)
	if err != nil {
		return err.Error()
	}
	var words []string
	for line := range strings.Lines(string(text[max(0, len(text)-tailBytes):])) {
		if !strings.HasPrefix(line, logLine) && strings.TrimSpace(line) != "" && len(words) < wordsMax {
			words = append(words, strings.TrimSpace(line))
		} else if strings.HasPrefix(line, logLine) {
			words = nil
		}
	}
	if len(words) == 0 {
		return "it says nothing in " + j.path
	}
	return strings.Join(words, " | ")
}
