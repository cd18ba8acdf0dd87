package hotstuff_test

import (
	"errors"
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

// TestVerifyRefuses gives every reason for which a message is refused before it reaches the core. The receiver is n0, in
// view 30 with a high QC of view 20; b19 and b20 are certified.
func TestVerifyRefuses(t *testing.T) {
	type message = hotstuff.Message
	s := newSolo(t)
	b19 := s.on(s.genesis, 19)
	b20 := s.on(b19, 20)
	qc20, qc25 := s.certify(b20), s.certify(s.on(s.genesis, 25))
	forged := qc25
	forged.Signature[0] ^= 1
	w := hotstuff.Window{View: 30, HighQC: 20}
	proposal := func(v qc.View, change ...func(*blocktree.Block)) message {
		return &hotstuff.Proposal{Block: s.on(b20, v, change...)}
	}
	timeout := func(id qc.NodeID, v qc.View, change func(*qc.Timeout)) message {
		out := s.timeout(id, v, b20)
		change(out)
		return &hotstuff.TimeoutMessage{Timeout: out}
	}
	response := func(bs ...*blocktree.Block) message {
		return &hotstuff.BlockResponse{Target: b20.ID(), Blocks: bs}
	}
	badSignature := s.forgeVote(0, 31, b20.ID())
	badSignature.Signature[0] ^= 1
	badJustify := s.on(b20, 21, func(b *blocktree.Block) { b.Justify.Signature[0] ^= 1 })
	for name, c := range map[string]struct {
		from qc.NodeID
		msg  message
		want error
	}{
		"nothing":                               {1, nil, hotstuff.ErrMessage},
		"proposal":                              {1, proposal(30), nil},
		"proposal, relayed":                     {3, proposal(30), nil},
		"proposal without block":                {1, &hotstuff.Proposal{}, hotstuff.ErrMessage},
		"proposal, late":                        {1, proposal(21), nil},
		"proposal, too late":                    {1, &hotstuff.Proposal{Block: s.on(s.genesis, 13)}, hotstuff.ErrStale},
		"proposal, future":                      {1, proposal(1000), nil},
		"proposal, many bytes":                  {1, proposal(30, manyBytes), hotstuff.ErrLimits},
		"vote":                                  {1, &hotstuff.VoteMessage{Vote: s.forgeVote(1, 30, b20.ID())}, nil},
		"vote, of a view that counts":           {1, &hotstuff.VoteMessage{Vote: s.forgeVote(1, 21, b20.ID())}, nil},
		"vote, stale":                           {1, &hotstuff.VoteMessage{Vote: s.forgeVote(1, 20, b20.ID())}, hotstuff.ErrStale},
		"vote, another's":                       {2, &hotstuff.VoteMessage{Vote: s.forgeVote(1, 30, b20.ID())}, hotstuff.ErrSender},
		"vote, a stranger's":                    {1, &hotstuff.VoteMessage{Vote: qc.Vote{View: 30, Signer: 4}}, hotstuff.ErrMessage},
		"vote, view 0":                          {1, &hotstuff.VoteMessage{Vote: qc.Vote{Signer: 1}}, hotstuff.ErrMessage},
		"vote, our own, forged":                 {1, &hotstuff.VoteMessage{Vote: badSignature}, qc.ErrSignature},
		"timeout":                               {1, timeout(1, 30, func(*qc.Timeout) {}), nil},
		"timeout, empty":                        {1, &hotstuff.TimeoutMessage{}, hotstuff.ErrMessage},
		"timeout, another's":                    {2, timeout(1, 30, func(*qc.Timeout) {}), hotstuff.ErrSender},
		"timeout, a stranger's":                 {1, timeout(1, 30, func(t *qc.Timeout) { t.Signer = 9 }), hotstuff.ErrMessage},
		"timeout, another epoch":                {1, timeout(1, 30, func(t *qc.Timeout) { t.Epoch = 2 }), hotstuff.ErrMessage},
		"timeout, late, other epoch":            {1, timeout(1, 22, func(t *qc.Timeout) { t.Epoch = 2 }), hotstuff.ErrMessage},
		"timeout, forged":                       {1, timeout(1, 30, func(t *qc.Timeout) { t.Signature[0] ^= 1 }), qc.ErrSignature},
		"timeout without its TC":                {1, timeout(1, 30, func(t *qc.Timeout) { t.TC = nil }), qc.ErrEntry},
		"timeout, late, forged QC":              {1, timeout(1, 27, func(t *qc.Timeout) { t.HighQC = forged }), qc.ErrSignature},
		"timeout, late, high QC above its view": {1, timeout(1, 24, func(t *qc.Timeout) { t.HighQC = qc25 }), hotstuff.ErrMessage},
		"QC":                                    {1, &hotstuff.CertificateMessage{QC: &qc25}, nil},
		"QC, known":                             {1, &hotstuff.CertificateMessage{QC: &qc20}, hotstuff.ErrStale},
		"QC, forged":                            {1, &hotstuff.CertificateMessage{QC: &forged}, qc.ErrSignature},
		"TC":                                    {1, &hotstuff.CertificateMessage{TC: s.giveUp(30, b20)}, nil},
		"TC, over":                              {1, &hotstuff.CertificateMessage{TC: s.giveUp(29, b20)}, hotstuff.ErrStale},
		"two certificates":                      {1, &hotstuff.CertificateMessage{QC: &qc25, TC: s.giveUp(30, b20)}, hotstuff.ErrMessage},
		"no certificate":                        {1, &hotstuff.CertificateMessage{}, hotstuff.ErrMessage},
		"blocks":                                {1, response(b19, b20), nil},
		"blocks, none":                          {1, response(), nil},
		"blocks, a nil":                         {1, response(b19, nil), hotstuff.ErrMessage},
		"blocks, a gap":                         {1, response(s.genesis, b20), blocktree.ErrLinkage},
		"blocks, out of order":                  {1, response(b20, b19), blocktree.ErrLinkage},
		"blocks, not certified":                 {1, response(b20, badJustify), qc.ErrSignature},
		"blocks, more than ever":                {1, response(make([]*blocktree.Block, hotstuff.ResponseBlocksMax+1)...), hotstuff.ErrLimits},
	} {
		v, err := s.r.verifier.Verify(w, c.from, c.msg)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
		if err != nil && v.Message() != nil {
			t.Errorf("%s: refused, and a verified message came back all the same", name)
		}
		if err == nil && v.From() != c.from {
			t.Errorf("%s: from %v", name, v.From())
		}
	}
}

func manyBytes(b *blocktree.Block) {
	for i := range uint64(64) {
		b.Payload = append(b.Payload, blocktree.BatchRef{Origin: 1, Seq: i, Bytes: 1 << 10, Expiry: 100})
	}
	b.Payload = append(b.Payload, b.Payload...)
}

// TestVerifyLateTimeout: of a timeout whose view is over, the vote and a certificate higher than ours still count, and
// nothing else of it is checked or kept.
func TestVerifyLateTimeout(t *testing.T) {
	s := newSolo(t)
	b5, b9 := s.on(s.genesis, 5), s.on(s.genesis, 9)
	w := hotstuff.Window{View: 30, HighQC: 7}
	for _, c := range []struct {
		high *blocktree.Block
		want qc.View
	}{{b5, 0}, {b9, 9}} {
		out := s.timeout(1, 12, c.high)
		vote := s.forgeVote(1, 12, b9.ID())
		out.Vote = &vote
		out.Signature[0] ^= 1
		v, err := s.r.verifier.Verify(w, 1, &hotstuff.TimeoutMessage{Timeout: out})
		if err != nil {
			t.Fatal(err)
		}
		kept := v.Message().(*hotstuff.TimeoutMessage).Timeout
		if kept.HighQC.View != c.want || kept.TC != nil || kept.Vote == nil {
			t.Errorf("kept high QC %d, TC %v, vote %v", kept.HighQC.View, kept.TC, kept.Vote)
		}
		if out.TC == nil || out.HighQC.View != c.high.View {
			t.Error("the message that was shown was changed")
		}
	}
}

// TestVerifyVoidsAForeignVote: an embedded vote that is not the sender's voids the vote, not the timeout.
func TestVerifyVoidsAForeignVote(t *testing.T) {
	s := newSolo(t)
	out := s.timeout(1, 3, s.genesis)
	vote := s.forgeVote(2, 3, s.genesis.ID())
	out.Vote = &vote
	v, err := s.r.verifier.Verify(hotstuff.Window{View: 1}, 1, &hotstuff.TimeoutMessage{Timeout: out})
	if err != nil || v.Message().(*hotstuff.TimeoutMessage).Timeout.Vote != nil {
		t.Errorf("err %v, kept the vote", err)
	}
}

// TestVerifyBlocksKeepsTheCertified: without the target at its end, a response's last block is certified by nothing, and
// only its justify counts, for those before it.
func TestVerifyBlocksKeepsTheCertified(t *testing.T) {
	s := newSolo(t)
	bs := s.chainOf(1, 2, 3)
	m := &hotstuff.BlockResponse{Target: s.on(bs[3], 5).ID(), Blocks: bs[1:]}
	v, err := s.r.verifier.Verify(hotstuff.Window{View: 1}, 1, m)
	if err != nil || len(v.Message().(*hotstuff.BlockResponse).Blocks) != 2 {
		t.Errorf("err %v, kept %v", err, v.Message())
	}
	if len(m.Blocks) != 3 {
		t.Error("the message that was shown was changed")
	}
}

// TestOnlyVerifiedMessagesAreStepped: the zero Verified does nothing but count as malformed.
func TestOnlyVerifiedMessagesAreStepped(t *testing.T) {
	s := newSolo(t)
	before := s.show()
	s.turn(s.r, hotstuff.Verified{})
	if s.show() != before || len(s.take()) != 0 {
		t.Error("an unchecked message was taken")
	}
}
