package sim

import (
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
)

// copyOf gives a receiver a message of its own: nobody's writing through a pointer reaches another. What lies deeper
// (bitmaps, payload lists, blobs) is never written after it was made; runs with the codec share nothing at all.
func copyOf(message any) any {
	switch m := message.(type) {
	case *hotstuff.Proposal:
		b := *m.Block
		return &hotstuff.Proposal{Block: &b}
	case *hotstuff.VoteMessage:
		c := *m
		return &c
	case *hotstuff.TimeoutMessage:
		t := *m.Timeout
		return &hotstuff.TimeoutMessage{Timeout: &t, Held: m.Held}
	case *hotstuff.CertificateMessage:
		c := hotstuff.CertificateMessage{}
		if m.QC != nil {
			q := *m.QC
			c.QC = &q
		}
		if m.TC != nil {
			tc := *m.TC
			c.TC = &tc
		}
		return &c
	case *hotstuff.BlockRequest:
		c := *m
		return &c
	case *hotstuff.BlockResponse:
		c := hotstuff.BlockResponse{Target: m.Target}
		for _, b := range m.Blocks {
			own := *b
			c.Blocks = append(c.Blocks, &own)
		}
		return &c
	case *mempool.Batch:
		b := *m
		return &b
	case *mempool.BatchRequest:
		c := *m
		return &c
	}
	return message
}
