package node

import (
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

// checker makes verifiers of what a chain's replicas sign, by the keys in its genesis. They share what they have verified, and
// each belongs to one goroutine.
type checker struct {
	genesis    *config.Genesis
	committee  *qc.Committee
	identities qc.Roster
	keys       []qc.PublicKey
	first      *blocktree.Block // genesis; its ID is computed
	cache      *certificateCache
	hashes     *hashCache
}

func newChecker(g *config.Genesis) (*checker, error) {
	size := len(g.Nodes)
	k := &checker{genesis: g, identities: make(qc.Roster, size), keys: make([]qc.PublicKey, size), cache: newCertificateCache(), hashes: &hashCache{}}
	var err error
	if k.committee, err = qc.NewCommittee(g.Chain, g.Epoch, size); err != nil {
		return nil, err
	}
	for i, m := range g.Nodes {
		k.identities[i] = m.Identity
		if k.keys[i], err = qc.ParsePublicKey(m.BLS); err != nil {
			return nil, err
		}
	}
	k.first = blocktree.Genesis(g.Chain, g.Epoch, size)
	k.first.ID()
	return k, nil
}

// certs returns a verifier of certificates, and its scheme.
func (k *checker) certs() (*qc.Verifier, *qc.BLS, error) {
	scheme, err := qc.NewBLS(k.keys)
	if err != nil {
		return nil, nil, err
	}
	scheme.ShareHashes(k.hashes)
	return qc.NewVerifier(k.committee, scheme, k.cache, blocktree.GenesisQC(k.first, k.committee.Size())), scheme, nil
}

// messages returns a verifier of messages to a replica.
func (k *checker) messages(to qc.NodeID) (*hotstuff.Verifier, error) {
	certs, _, err := k.certs()
	if err != nil {
		return nil, err
	}
	return hotstuff.NewVerifier(to, k.committee, certs, k.identities, CoreLimits(k.genesis.Limits)), nil
}
