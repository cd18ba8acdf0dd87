package sim

import (
	"encoding/binary"
	"slices"

	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// lieOfSnapshot changes what is said of most snapshots: an offer whose chunks are not those of the state, and mostly
// chunks that fit such an offer, or nobody would come to its end. Of other messages it says nothing.
func (m *mind) lieOfSnapshot(message any) any {
	switch x := message.(type) {
	case *hotstuff.Pruned:
		return &hotstuff.Pruned{Floor: x.Floor + qc.Height(m.random.IntN(1000))}
	case *hotstuff.SnapshotOffer:
		if !m.spoils(x.Certificate.Checkpoint.Height) {
			return x
		}
		return m.forgeOffer(x)
	case *hotstuff.Chunk:
		if !m.spoils(x.Height) {
			return x
		}
		return m.forgeChunk(x)
	}
	return nil
}

func (m *mind) spoils(h qc.Height) bool { return h/m.r.w.cfg.Limits.CheckpointInterval%4 > 0 }

// forgeOffer offers other bytes under a certificate that is genuine, or says what contradicts itself.
func (m *mind) forgeOffer(o *hotstuff.SnapshotOffer) *hotstuff.SnapshotOffer {
	lie := &hotstuff.SnapshotOffer{Certificate: o.Certificate, Bytes: o.Bytes, Chunks: slices.Clone(o.Chunks)}
	switch o.Certificate.Checkpoint.Height / m.r.w.cfg.Limits.CheckpointInterval / 4 % 8 { // all liars alike: their words count together
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
			meta := metaOf(o.Certificate, m.spoilt(s.data))
			lie.Bytes, lie.Chunks = uint64(meta.Bytes), meta.Chunks
		}
	}
	return lie
}

// forgeChunk gives a chunk of the spoilt bytes that forgeOffer offers, or what fits nothing.
func (m *mind) forgeChunk(c *hotstuff.Chunk) *hotstuff.Chunk {
	lie := &hotstuff.Chunk{Height: c.Height, Index: c.Index}
	switch s, err := m.r.disk.snapshot(c.Height); {
	case err != nil || m.random.IntN(6) == 0:
	case m.random.IntN(6) == 0:
		lie.Data = c.Data[:len(c.Data)/2]
	default:
		data := m.spoilt(s.data)
		from := int(c.Index) * store.SnapshotChunkBytes
		lie.Data = data[min(from, len(data)):min(from+store.SnapshotChunkBytes, len(data))]
	}
	return lie
}

// spoilt is a state that reads like the certified one, and is another: one byte of the application's is changed, which its
// digest alone can tell.
func (m *mind) spoilt(data []byte) []byte {
	other := slices.Clone(data)
	if m.r.w.cfg.Clients.KeyValue {
		other[len(other)-len("end\n")-1] ^= 1 // of a value
		return other
	}
	// Behind the magic, the head and the sessions; there behind the number of commands.
	at := len("hotstuffd/snapshot\x00\x01")
	at += 4 + int(binary.BigEndian.Uint32(other[at:]))
	at += 8 + int(binary.BigEndian.Uint64(other[at:]))
	other[at+8] ^= 1
	return other
}

// cryPruned tells others that the log they want is gone, so that they give up what they wait for.
func (m *mind) cryPruned() {
	m.forged("crying", &hotstuff.Pruned{Floor: qc.Height(m.random.Uint64N(1 << 20))})
}
