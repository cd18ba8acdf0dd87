package node

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/qc"
)

// All that a replica signs for a view is shown when it is sent: votes by themselves, in timeouts and in sums.
func TestWhatIsSignedIsShown(t *testing.T) {
	signers := func(ids ...qc.NodeID) qc.Bitmap {
		b := make(qc.Bitmap, 1)
		for _, id := range ids {
			b.Set(id)
		}
		return b
	}
	vote := qc.Vote{View: 9, Block: qc.BlockID{9}, Signer: 2}
	mine := qc.QuorumCertificate{View: 8, Block: qc.BlockID{8}, Signers: signers(0, 1, 2)}
	others := qc.QuorumCertificate{View: 8, Block: qc.BlockID{8}, Signers: signers(0, 1, 3)}
	proposed := &blocktree.Block{View: 10, Justify: mine}
	for _, test := range []struct {
		message any
		want    []string
	}{
		{&hotstuff.VoteMessage{Vote: vote}, []string{"vote 9 " + vote.Block.Hex()}},
		{&hotstuff.TimeoutMessage{Timeout: &qc.Timeout{View: 9, HighQC: mine, Vote: &vote}},
			[]string{"vote 9 " + vote.Block.Hex(), "timeout 9 8", "certificate 8 " + mine.Block.Hex()}},
		{&hotstuff.TimeoutMessage{Timeout: &qc.Timeout{View: 9, HighQC: others}}, []string{"timeout 9 8"}},
		{&hotstuff.Proposal{Block: proposed}, []string{"proposal 10 " + proposed.ID().Hex(), "certificate 8 " + mine.Block.Hex()}},
		{&hotstuff.CertificateMessage{QC: &mine}, []string{"certificate 8 " + mine.Block.Hex()}},
		{&hotstuff.CertificateMessage{QC: &qc.QuorumCertificate{Signers: signers(2)}}, nil}, // genesis
		{&hotstuff.CertificateMessage{TC: &qc.TimeoutCertificate{}}, nil},
		{&hotstuff.BlockRequest{}, nil},
	} {
		for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo} {
			var out bytes.Buffer
			sentLog{2, slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level}))}.show(test.message)
			var want strings.Builder
			for _, w := range test.want {
				f := strings.Fields(w)
				name := "block"
				if f[0] == "timeout" {
					name = "high_qc_view"
				}
				want.WriteString("level=DEBUG msg=\"sent " + f[0] + "\" view=" + f[1] + " " + name + "=" + f[2] + "\n")
			}
			var got strings.Builder
			for line := range strings.Lines(out.String()) {
				_, line, _ := strings.Cut(line, " ") // without the time
				got.WriteString(line)
			}
			if level == slog.LevelInfo {
				want.Reset()
			}
			if got.String() != want.String() {
				t.Errorf("%T at level %v: shown\n%swant\n%s", test.message, level, got.String(), want.String())
			}
		}
	}
}
