package hotstuff_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

// event is one line of a trace. Equal lines of several replicas in one wave of messages become one line.
type event struct {
	id   qc.NodeID
	text string
}

func (c *cluster) note(id qc.NodeID, format string, args ...any) {
	if c.trace {
		c.events = append(c.events, event{id, fmt.Sprintf(format, args...)})
	}
}

// flush ends a wave: events that differ only in their replica are merged, in order of first occurrence.
func (c *cluster) flush() {
	if len(c.events) > 0 && c.events[len(c.events)-1] != (event{}) {
		c.events = append(c.events, event{})
	}
}

// takeTrace returns the trace so far, and forgets it.
func (c *cluster) takeTrace() string {
	var out strings.Builder
	var wave []event
	write := func() {
		for len(wave) > 0 {
			text := wave[0].text
			var who []string
			rest := wave[:0:0]
			for _, e := range wave {
				if e.text != text {
					rest = append(rest, e)
				} else if name := e.id.String(); !slices.Contains(who, name) {
					who = append(who, name)
				}
			}
			slices.Sort(who)
			fmt.Fprintf(&out, "%s %s\n", strings.Join(who, ","), text)
			wave = rest
		}
	}
	for _, e := range c.events {
		if e == (event{}) {
			write()
		} else {
			wave = append(wave, e)
		}
	}
	write()
	c.events = nil
	return out.String()
}

func labelOf(v qc.View, earlier int) string {
	return fmt.Sprintf("b%d%s", v, strings.Repeat("'", earlier))
}

func (c *cluster) label(id qc.BlockID) string {
	if l, ok := c.labels[id]; ok {
		return l
	}
	return id.String()
}

// payload names the batches of a block, in brackets; empty without any.
func (c *cluster) payload(b *blocktree.Block) string {
	if len(b.Payload) == 0 {
		return ""
	}
	var names []string
	for _, ref := range b.Payload {
		names = append(names, c.names[ref.Digest])
	}
	return " [" + strings.Join(names, " ") + "]"
}

// describe gives a message in a few words.
func (c *cluster) describe(m hotstuff.Message) string {
	switch m := m.(type) {
	case *hotstuff.Proposal:
		tc := ""
		if m.Block.TC != nil {
			tc = fmt.Sprintf(" by TC(%d)", m.Block.TC.View)
		}
		return fmt.Sprintf("proposal %s on %s%s%s", c.label(m.Block.ID()), c.label(m.Block.Parent), tc, c.payload(m.Block))
	case *hotstuff.VoteMessage:
		return "vote " + c.label(m.Vote.Block)
	case *hotstuff.TimeoutMessage:
		t := m.Timeout
		s := fmt.Sprintf("timeout %d high %s", t.View, c.label(t.HighQC.Block))
		if t.TC != nil {
			s += fmt.Sprintf(" by TC(%d)", t.TC.View)
		}
		if t.Vote != nil {
			s += " with vote " + c.label(t.Vote.Block)
		}
		return s
	case *hotstuff.CertificateMessage:
		if m.QC != nil {
			return fmt.Sprintf("QC(%s)", c.label(m.QC.Block))
		}
		return fmt.Sprintf("TC(%d) high %s", m.TC.View, c.label(m.TC.HighQC.Block))
	case *hotstuff.BlockRequest:
		return fmt.Sprintf("request for %s from height %d", c.label(m.Target), m.From)
	case *hotstuff.BlockResponse:
		s := "blocks"
		for _, b := range m.Blocks {
			s += " " + c.label(b.ID())
		}
		return s
	case *hotstuff.RejoinRequest:
		return fmt.Sprintf("rejoin request %s", name(m.Nonce))
	}
	return fmt.Sprintf("%T", m)
}

// show gives one line a replica: where it stands.
func (c *cluster) show() string {
	var out strings.Builder
	for _, r := range c.nodes {
		if r.core == nil {
			fmt.Fprintf(&out, "%v down\n", r.id)
			continue
		}
		s := r.core.Safety()
		lock := "none"
		if s.LockView > 0 {
			lock = c.label(s.LockBlock)
		}
		fmt.Fprintf(&out, "%v view %d lock %s high %s committed %s", r.id, r.core.View(), lock, c.label(s.HighQC.Block),
			c.label(r.core.Tree().Committed().Block.ID()))
		if r.core.Rejoining() {
			out.WriteString(" rejoining")
		}
		if s.Floor > 0 {
			fmt.Fprintf(&out, " signs above %d", s.Floor)
		}
		out.WriteString("\n")
	}
	return out.String()
}

// sortBlocks orders stored blocks as a store does: by height, then by ID.
func sortBlocks(bs []*blocktree.Block) {
	slices.SortFunc(bs, func(a, b *blocktree.Block) int {
		if a.Height != b.Height {
			return int(a.Height) - int(b.Height)
		}
		x, y := a.ID(), b.ID()
		return strings.Compare(string(x[:]), string(y[:]))
	})
}

// kind names a message's kind, for rules on what the network loses.
func kind(m hotstuff.Message) string {
	switch m := m.(type) {
	case *hotstuff.Proposal:
		return "proposal"
	case *hotstuff.VoteMessage:
		return "vote"
	case *hotstuff.TimeoutMessage:
		return "timeout"
	case *hotstuff.CertificateMessage:
		if m.TC != nil {
			return "tc"
		}
		return "qc"
	case *hotstuff.BlockRequest:
		return "request"
	case *hotstuff.BlockResponse:
		return "blocks"
	case *hotstuff.RejoinRequest:
		return "rejoin"
	case *hotstuff.CheckpointMessage:
		if m.Certificate != nil {
			return "certified state"
		}
		return "state"
	}
	return ""
}
