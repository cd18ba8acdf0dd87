package node

import (
	"errors"
	"fmt"
	"io"

	"github.com/hotstuffd/hotstuffd/app"
	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/qc"
	"github.com/hotstuffd/hotstuffd/store"
)

// CheckSnapshot tells whether a snapshot is what its certificate names, by nothing but the genesis and the snapshot's bytes: it
// restores it into an application that stands at genesis, which is used up.
// Expected errors: qc's, for a certificate that is not one of this chain; that the bytes are not the certified state; the
// reader's.
func CheckSnapshot(r io.Reader, g *config.Genesis, m store.SnapshotMeta, scratch app.Application) error {
	if err := CheckCertificate(g, m.Certificate); err != nil {
		return err
	}
	k, err := newChecker(g)
	if err != nil {
		return err
	}
	cfg, err := MachineOf(g, k.committee)
	if err != nil {
		return err
	}
	return NewMachine(scratch, k.first, cfg).Restore(r, WireLimits(g), m.Certificate.Checkpoint)
}

// CheckCertificate verifies a checkpoint certificate by the keys of a genesis.
// Expected errors: qc's.
func CheckCertificate(g *config.Genesis, c *qc.CheckpointCertificate) error {
	k, err := newChecker(g)
	if err != nil {
		return err
	}
	certs, _, err := k.certs()
	if err != nil {
		return err
	}
	if err := certs.Checkpoint(c); err != nil {
		return fmt.Errorf("its certificate: %w", err)
	}
	return nil
}

// Standing returns how far a replica has come by what is on its disk: a snapshot of a higher block would bring it on. Where the
// log was pruned and no snapshot is left, one that the log goes on from brings it back.
// Expected errors: the store's; facts that do not fit together.
func Standing(s Stored, g *config.Genesis) (qc.Height, error) {
	switch err := CheckStored(s, g); {
	case errors.Is(err, errNoSnapshot):
		return s.Floor() - 1, nil
	case err != nil:
		return 0, err
	}
	stored, err := s.Recover()
	at := stored.Commit.Height
	if list := s.Snapshots(); len(list) > 0 {
		at = max(at, list[0].Height())
	}
	return at, err
}
