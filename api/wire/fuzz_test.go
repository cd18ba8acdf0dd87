package wire_test

import (
	"reflect"
	"testing"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/blocktree"
	"github.com/hotstuffd/hotstuffd/hotstuff"
	"github.com/hotstuffd/hotstuffd/mempool"
	"github.com/hotstuffd/hotstuffd/qc"
)

// What any frame decodes to is encoded and decoded to the same again.
func FuzzDecode(f *testing.F) {
	for seed := range uint64(3) {
		for _, msg := range newSampler(seed).messages() {
			frame, err := wire.Encode(msg)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(frame)
		}
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		msg, err := wire.Decode(frame, limits)
		if err != nil {
			return
		}
		again, err := wire.Encode(msg)
		if err != nil {
			t.Fatalf("decoded %+v cannot be encoded: %v", msg, err)
		}
		got, err := wire.Decode(again, limits)
		if err != nil || !reflect.DeepEqual(got, msg) {
			t.Fatalf("decoded again: %+v, %v\nfirst %+v", got, err, msg)
		}
	})
}

func FuzzParseBlock(f *testing.F) {
	fuzzDisk(f, func(s sampler) *blocktree.Block { return s.block() }, wire.AppendBlock, wire.ParseBlock)
}

func FuzzParseBatch(f *testing.F) {
	fuzzDisk(f, func(s sampler) *mempool.Batch { return s.batch() }, wire.AppendBatch, wire.ParseBatch)
}

func FuzzParseSafetyState(f *testing.F) {
	fuzzDisk(f, func(s sampler) *hotstuff.SafetyState { st := s.state(); return &st }, wire.AppendSafetyState, pointer(wire.ParseSafetyState))
}

func FuzzParseCommitRecord(f *testing.F) {
	fuzzDisk(f, func(s sampler) *hotstuff.CommitRecord { c := s.commit(); return &c }, wire.AppendCommitRecord, pointer(wire.ParseCommitRecord))
}

func FuzzParseCheckpoint(f *testing.F) {
	fuzzDisk(f, func(s sampler) *qc.CheckpointCertificate { return s.checkpointCertificate() }, wire.AppendCheckpoint, wire.ParseCheckpoint)
}

func FuzzParseSnapshot(f *testing.F) {
	fuzzDisk(f, func(s sampler) *wire.Snapshot { return s.snapshot() }, wire.AppendSnapshot, wire.ParseSnapshot)
}

func pointer[T any](parse func([]byte, wire.Limits) (T, error)) func([]byte, wire.Limits) (*T, error) {
	return func(data []byte, l wire.Limits) (*T, error) {
		v, err := parse(data, l)
		return &v, err
	}
}

// fuzzDisk shows that samples come back as they were, and that whatever parses is stable.
func fuzzDisk[T any](f *testing.F, sample func(sampler) *T, appendTo func([]byte, *T) ([]byte, error), parse func([]byte, wire.Limits) (*T, error)) {
	for seed := range uint64(20) {
		want := sample(newSampler(seed))
		data, err := appendTo([]byte("prefix"), want)
		if err != nil {
			f.Fatal(err)
		}
		data = data[len("prefix"):]
		if got, err := parse(data, limits); err != nil || !reflect.DeepEqual(got, want) {
			f.Fatalf("seed %d: got %+v, %v\nwant %+v", seed, got, err, want)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		first, err := parse(data, limits)
		if err != nil {
			return
		}
		again, err := appendTo(nil, first)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parse(again, limits)
		if err != nil || !reflect.DeepEqual(got, first) {
			t.Fatalf("parsed again: %+v, %v\nfirst %+v", got, err, first)
		}
	})
}
