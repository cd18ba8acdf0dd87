package wire_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/api/wire/internal/pb"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Every message comes back as it was, whatever the magnitude of its numbers and whichever optional parts it has.
func TestDecodeReturnsWhatWasEncoded(t *testing.T) {
	for seed := range uint64(300) {
		for _, msg := range newSampler(seed).messages() {
			frame, err := wire.Encode(msg)
			if err != nil {
				t.Fatal(err)
			}
			got, err := wire.Decode(frame, limits)
			if err != nil {
				t.Fatalf("seed %d, %T: %v", seed, msg, err)
			}
			if !reflect.DeepEqual(got, msg) {
				t.Fatalf("seed %d, %T:\ngot  %+v\nwant %+v", seed, msg, got, msg)
			}
		}
	}
}

var update = flag.Bool("update", false, "rewrite testdata/golden.txt")

// The bytes themselves are part of the protocol and of the disk format: a change of the schema that moves a field shows
// here, and needs a new version.
func TestBytesAreStable(t *testing.T) {
	var b strings.Builder
	s := newSampler(8)
	for _, msg := range s.messages() {
		frame, err := wire.Encode(msg)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%T\n%s\n", msg, hex.EncodeToString(frame))
	}
	state, commit := s.state(), s.commit()
	data, err := wire.AppendSafetyState(nil, &state)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&b, "%T\n%s\n", state, hex.EncodeToString(data))
	if data, err = wire.AppendCommitRecord(nil, &commit); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&b, "%T\n%s\n", commit, hex.EncodeToString(data))
	snapshot := newSampler(9).snapshot()
	if data, err = wire.AppendSnapshot(nil, snapshot); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&b, "%T\n%s\n", snapshot, hex.EncodeToString(data))

	const golden = "testdata/golden.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("encoded bytes differ from %s; if that is meant, raise the version and run with -update", golden)
	}
}

func TestEncodeRefusesWhatIsIncomplete(t *testing.T) {
	s := newSampler(3)
	cert := s.qc()
	for _, msg := range []any{
		nil, "text", hotstuff.Proposal{Block: s.block()}, &hotstuff.Proposal{}, &hotstuff.TimeoutMessage{},
		&hotstuff.CertificateMessage{}, &hotstuff.CertificateMessage{QC: &cert, TC: s.tc()},
		&hotstuff.BlockResponse{Blocks: append((&hotstuff.BlockResponse{}).Blocks, nil)},
	} {
		if _, err := wire.Encode(msg); !errors.Is(err, wire.ErrNotMessage) {
			t.Errorf("%T: got %v, want ErrNotMessage", msg, err)
		}
	}
}

// Each case takes a good message, breaks one thing, and must be refused by the rule about that thing.
func TestDecodeRefusesWhatBreaksARule(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(e *pb.Envelope)
		want  string
		index int // into messages
	}{
		{"no block", func(e *pb.Envelope) { e.GetProposal().Block = nil }, "Proposal.block is missing", 0},
		{"no justify", func(e *pb.Envelope) { e.GetProposal().Block.Justify = nil }, "Block.justify is missing", 0},
		{"short signature", func(e *pb.Envelope) { cut(&e.GetProposal().Block.Signature) }, "Block.signature has the wrong size", 0},
		{"no signature", func(e *pb.Envelope) { e.GetProposal().Block.Signature = nil }, "Block.signature is missing", 0},
		{"long parent", func(e *pb.Envelope) { grow(&e.GetProposal().Block.Parent) }, "Block.parent has the wrong size", 0},
		{"short bitmap", func(e *pb.Envelope) { cut(&e.GetProposal().Block.Justify.Signers) }, "QuorumCertificate.signers has the wrong size", 0},
		{"long bitmap", func(e *pb.Envelope) { grow(&e.GetProposal().Block.Justify.Signers) }, "QuorumCertificate.signers has the wrong size", 0},
		{"proposer n", func(e *pb.Envelope) { e.GetProposal().Block.Proposer = 9 }, "Block.proposer is not a replica", 0},
		{"payload of 6", func(e *pb.Envelope) {
			b := e.GetProposal().Block
			b.Payload = nil
			for range 6 {
				b.Payload = append(b.Payload, &pb.BatchRef{Digest: make([]byte, 32)})
			}
		}, "Block.payload has too many", 0},
		{"origin n", func(e *pb.Envelope) {
			e.GetProposal().Block.Payload = []*pb.BatchRef{{Origin: 9, Digest: make([]byte, 32)}}
		}, "BatchRef.origin is not", 0},
		{"empty element", func(e *pb.Envelope) { e.GetProposal().Block.Payload = []*pb.BatchRef{{}} }, "BatchRef.digest is missing", 0},
		{"no vote", func(e *pb.Envelope) { e.GetVote().Vote = nil }, "VoteMessage.vote is missing", 1},
		{"signer 65536", func(e *pb.Envelope) { e.GetVote().Vote.Signer = 1 << 16 }, "Vote.signer is not", 1},
		{"lanes of 10", func(e *pb.Envelope) {
			e.GetVote().Held = nil
			for range 10 {
				e.GetVote().Held = append(e.GetVote().Held, &pb.Cursor{Last: make([]byte, 32)})
			}
		}, "VoteMessage.held has too many", 1},
		{"views of 10", func(e *pb.Envelope) { e.GetCertificate().GetTc().HighQcViews = make([]uint64, 10) }, "high_qc_views has too many", 4},
		{"no certificate", func(e *pb.Envelope) { e.GetCertificate().Certificate = nil }, "none or several", 4},
		{"4 blocks", func(e *pb.Envelope) {
			r := e.GetBlockResponse()
			r.Blocks = append(r.Blocks, r.Blocks[0], r.Blocks[0])
		}, "BlockResponse.blocks has too many", 6},
		{"blob of 301", func(e *pb.Envelope) { e.GetBatch().Blob = make([]byte, 301) }, "Batch.blob has the wrong size", 7},
		{"5 digests", func(e *pb.Envelope) {
			r := e.GetBatchRequest()
			r.Digests = append(r.Digests, r.Digests[0], r.Digests[0], r.Digests[0])
		}, "BatchRequest.digests has too many", 8},
		{"digest of 31", func(e *pb.Envelope) { cut(&e.GetBatchRequest().Digests[0]) }, "BatchRequest.digests has the wrong size", 8},
		{"nonce of 31", func(e *pb.Envelope) { cut(&e.GetRejoinRequest().Nonce) }, "RejoinRequest.nonce has the wrong size", 9},
		{"state of 31", func(e *pb.Envelope) { cut(&e.GetCheckpoint().GetSigned().Checkpoint.Digest) }, "Checkpoint.digest has the wrong size", 10},
		{"no state", func(e *pb.Envelope) { e.GetCheckpoint().GetSigned().Checkpoint = nil }, "SignedCheckpoint.checkpoint is missing", 10},
		{"state of nobody", func(e *pb.Envelope) { e.GetCheckpoint().GetSigned().Signer = 9 }, "SignedCheckpoint.signer is not", 10},
		{"certified by too many bits", func(e *pb.Envelope) { grow(&e.GetCheckpoint().GetCertificate().Signers) }, "CheckpointCertificate.signers has the wrong size", 11},
		{"neither signed nor certified", func(e *pb.Envelope) { e.GetCheckpoint().Checkpoint = nil }, "none or several", 11},
		{"empty envelope", func(e *pb.Envelope) { e.Message = nil }, "none or several", 0},
		{"unknown field", func(e *pb.Envelope) {
			m := e.GetProposal().Block.Justify
			m.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 9, protowire.VarintType), 1))
		}, "QuorumCertificate has an unknown field", 0},
		{"field given twice", func(e *pb.Envelope) {
			m := e.GetProposal().Block
			m.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 2, protowire.VarintType), 1))
		}, "Block.view is given twice", 0},
		{"other wire type", func(e *pb.Envelope) {
			m := e.GetBlockRequest()
			m.From = 0
			m.ProtoReflect().SetUnknown(protowire.AppendFixed64(protowire.AppendTag(nil, 2, protowire.Fixed64Type), 1))
		}, "BlockRequest.from has the wrong wire type", 5},
		{"33 bits", func(e *pb.Envelope) {
			m := e.GetBatch()
			m.Count = 0
			m.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 7, protowire.VarintType), 1<<32))
		}, "Batch.count does not fit", 7},
		{"two alternatives", func(e *pb.Envelope) {
			m, err := proto.Marshal(&pb.Envelope{Message: &pb.Envelope_Batch{Batch: &pb.Batch{Prev: make([]byte, 32), Signature: make([]byte, 64)}}})
			if err != nil {
				panic(err)
			}
			e.ProtoReflect().SetUnknown(m)
		}, "none or several", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			frame, err := wire.Encode(newSampler(8).messages()[tt.index])
			if err != nil {
				t.Fatal(err)
			}
			e := &pb.Envelope{}
			if err := proto.Unmarshal(frame, e); err != nil {
				t.Fatal(err)
			}
			tt.spoil(e)
			if frame, err = proto.Marshal(e); err != nil {
				t.Fatal(err)
			}
			_, err = wire.Decode(frame, limits)
			if !errors.Is(err, wire.ErrMalformed) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want ErrMalformed with %q", err, tt.want)
			}
		})
	}
}

func cut(b *[]byte)  { *b = (*b)[1:] }
func grow(b *[]byte) { *b = append(*b, 0) }

// No frame that is cut off anywhere is taken for a whole one, and none panics.
func TestDecodeRefusesEveryPrefix(t *testing.T) {
	for _, msg := range newSampler(8).messages() {
		frame, err := wire.Encode(msg)
		if err != nil {
			t.Fatal(err)
		}
		for n := range frame {
			if _, err := wire.Decode(frame[:n], limits); !errors.Is(err, wire.ErrMalformed) {
				t.Fatalf("%T cut to %d bytes: got %v, want ErrMalformed", msg, n, err)
			}
		}
	}
}

// A frame of half a million empty elements is refused before it grows a hundredfold in memory.
func TestEmptyElementsAreNotAllocated(t *testing.T) {
	l := limits
	l.ResponseBlocksMax = 1 << 20
	const blocks, blockResponse = 2, 6 // field numbers
	body := bytes.Repeat(protowire.AppendBytes(protowire.AppendTag(nil, blocks, protowire.BytesType), nil), 1<<19)
	frame := protowire.AppendBytes(protowire.AppendTag(nil, blockResponse, protowire.BytesType), body)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := wire.Decode(frame, l)
	runtime.ReadMemStats(&after)
	if !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("got %v, want ErrMalformed", err)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > uint64(len(frame)) {
		t.Errorf("a frame of %d bytes allocated %d", len(frame), grown)
	}
}

// The stated sizes are bounds: the largest message there can be is no larger.
func TestBytesMaxBoundsTheLargestMessages(t *testing.T) {
	largest, consensus, batch := 0, 0, 0
	for seed := range uint64(300) {
		s := newSampler(seed)
		state := s.state()
		data, err := wire.AppendSafetyState(nil, &state)
		if err != nil {
			t.Fatal(err)
		}
		largest = max(largest, len(data))
		for _, msg := range s.messages() {
			frame, err := wire.Encode(msg)
			if err != nil {
				t.Fatal(err)
			}
			switch msg.(type) {
			case *mempool.Batch, *mempool.BatchRequest:
				batch = max(batch, len(frame))
			case *hotstuff.BlockResponse:
			default:
				consensus = max(consensus, len(frame))
			}
		}
	}
	for _, c := range []struct {
		name       string
		got, bound int
	}{
		{"safety state", largest, limits.SafetyStateBytesMax()},
		{"consensus frame", consensus, limits.ConsensusFrameBytesMax()},
		{"batch frame", batch, limits.BatchFrameBytesMax()},
	} {
		if c.got > c.bound || c.got < c.bound*2/3 {
			t.Errorf("%s: largest of the samples is %d bytes, stated bound %d", c.name, c.got, c.bound)
		}
	}
}
