package sim

import (
	"slices"

	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// lieOfSnapshot changes what is said of a snapshot: an offer whose chunks are not those of the state, chunks that fit such
// an offer, or no offer at all.
func (m *mind) lieOfSnapshot(message any) any {
	switch x := message.(type) {
	case *hotstuff.Pruned:
		return &hotstuff.Pruned{Floor: x.Floor + qc.Height(m.random.IntN(1000))}
	case *hotstuff.SnapshotOffer:
		return m.forgeOffer(x)
	case *hotstuff.Chunk:
		return m.forgeChunk(x)
	}
	return nil
}

// forgeOffer offers other bytes under a certificate that is genuine, or says what contradicts itself.
func (m *mind) forgeOffer(o *hotstuff.SnapshotOffer) *hotstuff.SnapshotOffer {
	lie := &hotstuff.SnapshotOffer{Certificate: o.Certificate, Bytes: o.Bytes, Chunks: slices.Clone(o.Chunks)}
	switch m.random.IntN(5) {
	case 0:
		lie.Chunks[m.random.IntN(len(lie.Chunks))][0] ^= 1 // nobody has such a chunk
	case 1:
		lie.Bytes = 1 + m.random.Uint64N(store.SnapshotChunkBytes)
	case 2:
		cert := *o.Certificate
		cert.Checkpoint.Height += m.r.w.cfg.Limits.CheckpointInterval
		lie.Certificate = &cert
	default:
		if s, err := m.r.disk.snapshot(o.Certificate.Checkpoint.Height); err == nil {
			meta := metaOf(o.Certificate, spoilt(s.data))
			lie.Bytes, lie.Chunks = uint64(meta.Bytes), meta.Chunks
		}
	}
	return lie
}

// forgeChunk gives a chunk of the spoilt bytes that forgeOffer offers, or what fits nothing.
func (m *mind) forgeChunk(c *hotstuff.Chunk) *hotstuff.Chunk {
	lie := &hotstuff.Chunk{Height: c.Height, Index: c.Index}
	switch s, err := m.r.disk.snapshot(c.Height); {
	case err != nil || m.random.IntN(3) == 0:
	case m.random.IntN(4) == 0:
		lie.Data = c.Data[:len(c.Data)/2]
	default:
		data := spoilt(s.data)
		from := int(c.Index) * store.SnapshotChunkBytes
		lie.Data = data[min(from, len(data)):min(from+store.SnapshotChunkBytes, len(data))]
	}
	return lie
}

// spoilt is a state with one byte changed near its end, where the application's is.
func spoilt(data []byte) []byte {
	other := slices.Clone(data)
	other[len(other)-1-len(other)/16] ^= 1
	return other
}

// cryPruned tells others that the log they want is gone, so that they give up what they wait for.
func (m *mind) cryPruned() {
	m.forged("crying", &hotstuff.Pruned{Floor: qc.Height(m.random.Uint64N(1 << 20))})
}
