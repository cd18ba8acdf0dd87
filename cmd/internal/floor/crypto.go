package floor

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"

	"github.com/hotstuffd/hotstuffd/qc"
)

// members is the size of the committee that the figures are of: the smallest that survives a fault.
const members = 4

var (
	chain = qc.ChainID{1}
	block = qc.BlockID{2}
)

const epoch = qc.Epoch(1)

// committee is four replicas' keys, and what checks them. It remembers no certificate, but hashes and signers as a replica does.
type committee struct {
	*qc.Committee
	signers  []qc.Signer
	verifier *qc.Verifier
}

func newCommittee() (*committee, error) {
	c, err := qc.NewCommittee(chain, epoch, members)
	if err != nil {
		return nil, err
	}
	var secrets []*qc.SecretKey
	var keys []qc.PublicKey
	for i := range members {
		secret, err := qc.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{byte(i + 1)}, 32)))
		if err != nil {
			return nil, err
		}
		secrets, keys = append(secrets, secret), append(keys, secret.Public())
	}
	scheme, err := qc.NewBLS(keys)
	if err != nil {
		return nil, err
	}
	w := &committee{Committee: c, verifier: qc.NewVerifier(c, scheme, nil, qc.QuorumCertificate{Epoch: epoch, Signers: qc.NewBitmap(members)})}
	for _, s := range secrets {
		w.signers = append(w.signers, scheme.Signer(s))
	}
	return w, nil
}

func (c *committee) votes() (votes []qc.Vote) {
	for id := range qc.NodeID(c.Quorum()) {
		votes = append(votes, qc.Vote{View: 1, Block: block, Signer: id, Signature: c.signers[id].Sign(c.VoteMessage(1, block))})
	}
	return votes
}

var errUnsound = errors.New("a signature does not verify: test this machine's memory and processor")

func pairing(string) (func() error, int, func() error, error) {
	c, err := newCommittee()
	if err != nil {
		return nil, 0, nil, err
	}
	certificate, bad := c.verifier.CollectVotes(1, block, c.votes())
	if certificate == nil || len(bad) > 0 {
		return nil, 0, nil, errUnsound
	}
	return func() error { return c.verifier.QC(certificate) }, 1, nothing, nil
}

func sign(string) (func() error, int, func() error, error) {
	c, err := newCommittee()
	if err != nil {
		return nil, 0, nil, err
	}
	view := qc.View(0)
	return func() error {
		view++
		c.signers[0].Sign(c.VoteMessage(view, block))
		return nil
	}, 1, nothing, nil
}

func sum(string) (func() error, int, func() error, error) {
	c, err := newCommittee()
	if err != nil {
		return nil, 0, nil, err
	}
	votes := c.votes()
	return func() error {
		if certificate, _ := c.verifier.CollectVotes(1, block, votes); certificate == nil {
			return errUnsound
		}
		return nil
	}, 1, nothing, nil
}

// proposalBytes is about as much as is signed and checked of a proposal: a header.
const proposalBytes = 256

func identity() (qc.IdentityKey, qc.Roster) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	return qc.IdentityKey(key), qc.Roster{key.Public().(ed25519.PublicKey)}
}

func identitySign(string) (func() error, int, func() error, error) {
	key, _ := identity()
	message := make([]byte, proposalBytes)
	return func() error {
		message[0]++
		key.Sign(message)
		return nil
	}, 1, nothing, nil
}

func identityVerify(string) (func() error, int, func() error, error) {
	key, roster := identity()
	message := make([]byte, proposalBytes)
	signature := key.Sign(message)
	return func() error {
		if !roster.Verify(0, message, signature[:]) {
			return errUnsound
		}
		return nil
	}, 1, nothing, nil
}

const megabyte = 1 << 20

func hash(string) (func() error, int, func() error, error) {
	data := make([]byte, megabyte)
	return func() error {
		digest := sha256.Sum256(data)
		data[0] = digest[0] // each hash is of something else, so that none is left out
		return nil
	}, 1, nothing, nil
}
