package twins

import (
	"crypto/sha256"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/pacemaker"
	"github.com/hotstuffd/hotstuffd/qc"
)

// fixture is what all runs with one number of replicas share: keys, genesis, verifiers. It belongs to one goroutine.
type fixture struct {
	committee *qc.Committee
	genesis   *blocktree.Block
	root      qc.QuorumCertificate
	signers   []qc.Signer
	keys      []qc.Identity
	certs     *qc.Verifier
	verifiers []*hotstuff.Verifier

	// proposals holds the proposals that were verified, by block. What a proposal must prove is the same for every receiver
	// and in every run. Bound: proposalsMax.
	proposals map[qc.BlockID]hotstuff.Verified
}

// proposalsMax bounds the verified proposals kept; when it is reached, all go.
const proposalsMax = 1 << 15

// base is how long a view lasts, in ticks. Nothing else about time matters here, so there is no backoff, and an idle leader
// proposes at once.
const base = 1000

func newFixture(n int) *fixture {
	chain := sha256.Sum256([]byte("twins"))
	committee, err := qc.NewCommittee(chain, 1, n)
	if err != nil {
		panic(err) // a sample's number of replicas is a constant of its caller
	}
	f := &fixture{committee: committee, genesis: blocktree.Genesis(chain, 1, n), proposals: make(map[qc.BlockID]hotstuff.Verified)}
	f.root = blocktree.GenesisQC(f.genesis, n)
	scheme, signers := qc.NewMock(1, n)
	f.signers = signers
	f.certs = qc.NewVerifier(committee, scheme, nil, f.root)
	keys, public := qc.NewMockIdentities(1, n)
	f.keys = keys
	for id := range n {
		f.verifiers = append(f.verifiers, hotstuff.NewVerifier(qc.NodeID(id), committee, f.certs, public, limits))
	}
	return f
}

// limits are wide, for no block here has a payload and no clock is wrong.
var limits = hotstuff.Limits{BlockBatchesMax: 1, BlockBytesMax: 1, BatchBytesMax: 1, ExpiryDistanceMax: 1, ClockSkewMax: 1e9}

func (f *fixture) config(id qc.NodeID, leaders hotstuff.Leaders) hotstuff.Config {
	return hotstuff.Config{Self: id, Committee: f.committee, Signer: f.signers[id], Certs: f.certs, Identity: f.keys[id],
		Leaders: leaders, Limits: limits, Timing: pacemaker.Config{Base: base, Max: base}}
}

// firstStart is what a replica starts from that has never run.
func (f *fixture) firstStart() hotstuff.Recovered {
	return hotstuff.Recovered{Safety: hotstuff.SafetyState{Epoch: f.committee.Epoch, HighQC: f.root},
		Committed: f.genesis, Lanes: make(blocktree.Lanes, f.committee.Size())}
}

// verify checks a message as its receiver would.
func (f *fixture) verify(to *instance, from qc.NodeID, m hotstuff.Message) (hotstuff.Verified, error) {
	p, ok := m.(*hotstuff.Proposal)
	if !ok {
		return f.verifiers[to.id].Verify(to.core.Window(), from, m)
	}
	id := p.Block.ID()
	if v, ok := f.proposals[id]; ok {
		return v, nil
	}
	v, err := f.verifiers[to.id].Verify(to.core.Window(), from, m)
	if err == nil {
		if len(f.proposals) >= proposalsMax {
			clear(f.proposals)
		}
		f.proposals[id] = v
	}
	return v, err
}
