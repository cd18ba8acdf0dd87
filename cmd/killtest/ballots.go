package main

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// ballots are what one node has signed for each view, as its logs show it over all its lives. A log tells of a message
// before it is sent, so a line that a kill has cut short is of one that was not.
type ballots struct {
	node      int
	votes     map[uint64]string // block by view
	proposals map[uint64]string
	timeouts  map[uint64]uint64 // view of the highest certificate, by view
	shown     int               // lines that tell of votes, timeouts, proposals and certificates
}

func newBallots(node int) *ballots {
	return &ballots{node: node, votes: make(map[uint64]string), proposals: make(map[uint64]string), timeouts: make(map[uint64]uint64)}
}

// signed is a line of the log, if it tells of what was signed.
type signed struct {
	Message    string  `json:"msg"`
	View       *uint64 `json:"view"`
	Block      string  `json:"block"`
	HighQCView *uint64 `json:"high_qc_view"`
}

// line takes one whole line of the log. It returns an error if the line contradicts what the node has signed before.
func (b *ballots) line(text []byte) error {
	var s signed
	if !bytes.HasPrefix(text, []byte(logLine)) {
		return nil
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return fmt.Errorf("node %d: its log has a line that is none: %w: %.200s", b.node, err, text)
	}
	switch s.Message {
	case "sent vote", "sent certificate", "sent proposal":
		if s.View == nil || s.Block == "" {
			return fmt.Errorf("node %d: its log lacks view or block: %s", b.node, text)
		}
	case "sent timeout":
		if s.View == nil || s.HighQCView == nil {
			return fmt.Errorf("node %d: its log lacks view or high_qc_view: %s", b.node, text)
		}
	default:
		return nil
	}
	b.shown++
	switch s.Message {
	case "sent proposal":
		return once(b, "proposals", b.proposals, *s.View, s.Block)
	case "sent timeout":
		return once(b, "timeouts", b.timeouts, *s.View, *s.HighQCView)
	}
	// A certificate is shown if a vote of the node is in it: it was cast, sent by itself or not.
	if _, before := b.votes[*s.View]; !before {
		if _, timedOut := b.timeouts[*s.View]; timedOut {
			return fmt.Errorf("node %d: voted in view %d after it had timed out there: block %s", b.node, *s.View, s.Block)
		}
	}
	return once(b, "votes", b.votes, *s.View, s.Block)
}

// once remembers what was signed for a view, and returns an error if that was something else before.
func once[T comparable](b *ballots, what string, known map[uint64]T, view uint64, value T) error {
	if before, seen := known[view]; seen && before != value {
		return fmt.Errorf("node %d: two different %s in view %d: %v and %v", b.node, what, view, before, value)
	}
	known[view] = value
	return nil
}
