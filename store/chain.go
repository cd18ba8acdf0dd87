package store

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/hotstuffd/hotstuffd/api/wire"
	"github.com/hotstuffd/hotstuffd/qc"
)

// Identity says whose store it is. A store is opened by its own replica of its own chain alone: under another key the
// safety state would forget what that key has signed.
type Identity struct {
	Chain qc.ChainID
	Epoch qc.Epoch
	Node  qc.NodeID
	// Limits are the genesis limits: they bound what a record may hold.
	Limits wire.Limits
}

// owner stands in the header of each file of ours that another replica of the same chain has too, so that theirs is never
// taken for it.
type owner [sha256.Size]byte

func (id Identity) owner() owner {
	text := append([]byte("hotstuffd store"), id.Chain[:]...)
	return sha256.Sum256(binary.BigEndian.AppendUint16(text, uint16(id.Node)))
}

// The file CHAIN names the format, the chain and the replica, in words. It is written last by Init, so a store without
// it was never whole.
const (
	chainFile   = "CHAIN"
	chainFormat = 4
	chainText   = "hotstuffd store\nformat %d\nchain %s\nnode %d\n"
	chainMax    = 256 // bytes
)

// Formats before the present one: 1 knows no Prune and no snapshots. It would miss the blocks that a pruned store lacks. 2
// knows no reserved views. It would propose in one a second time. 3 does not know that a slot may be ahead of LevelDB.
const oldestFormat = 1

func (id Identity) text() string { return id.textOf(chainFormat) }

func (id Identity) textOf(format uint64) string {
	return fmt.Sprintf(chainText, format, id.Chain.Hex(), id.Node)
}

func writeChain(fs FS, dir string, id Identity) error {
	return writeFile(fs, dir, chainFile, []byte(id.text()), 0)
}

// raiseFormat makes the store one of the present format, so that a program that does not know it refuses it from now on.
// CHAIN was checked.
func raiseFormat(fsys FS, dir string, id Identity) error {
	text, err := readSmall(fsys, join(dir, chainFile), chainMax)
	if err != nil || text == id.text() {
		return err
	}
	return writeChain(fsys, dir, id)
}

// storedFormat returns the format of a store. CHAIN was checked.
func storedFormat(fsys FS, dir string) (uint64, error) {
	text, err := readSmall(fsys, join(dir, chainFile), chainMax)
	format, _, _, _ := parseChain(text)
	return format, err
}

// checkChain reads CHAIN and touches nothing.
// Expected errors: ErrSafetyLost, ErrOtherChain, ErrNewerFormat.
func checkChain(fsys FS, dir string, id Identity) error {
	text, err := readSmall(fsys, join(dir, chainFile), chainMax)
	if errors.Is(err, fs.ErrNotExist) {
		return refuse(dir, ErrSafetyLost, "no store here (`hotstuffd testnet init` makes one for a replica that never ran)")
	}
	if err != nil {
		return err
	}
	format, chain, node, ok := parseChain(text)
	switch {
	case !ok:
		return refuse(dir, ErrSafetyLost, "file %s is damaged", chainFile)
	case format > chainFormat:
		return refuse(dir, ErrNewerFormat, "format %d, this version knows %d", format, chainFormat)
	case chain != id.Chain:
		return refuse(dir, ErrOtherChain, "chain %s, this replica's is %s", chain.Hex(), id.Chain.Hex())
	case node != id.Node:
		return refuse(dir, ErrOtherChain, "replica %v, this one is %v", node, id.Node)
	}
	return nil
}

// parseChain reads the text of CHAIN. Of a newer format only the first two lines are known.
func parseChain(text string) (format uint64, chain qc.ChainID, node qc.NodeID, ok bool) {
	lines := strings.SplitAfter(text, "\n")
	if len(lines) < 2 || lines[0] != "hotstuffd store\n" {
		return 0, chain, 0, false
	}
	format, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimPrefix(lines[1], "format "), "\n"), 10, 32)
	if err != nil || format > chainFormat {
		return format, chain, 0, err == nil
	}
	var id [len(chain)]byte
	if len(lines) < 4 {
		return 0, chain, 0, false
	}
	digits := strings.TrimSuffix(strings.TrimPrefix(lines[2], "chain "), "\n")
	if len(digits) != hex.EncodedLen(len(id)) {
		return 0, chain, 0, false
	}
	if _, err := hex.Decode(id[:], []byte(digits)); err != nil {
		return 0, chain, 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimPrefix(lines[3], "node "), "\n"), 10, 16)
	chain, node = id, qc.NodeID(n)
	// Written again, it must be the same text: whatever else is in it is damage.
	return format, chain, node, err == nil && format >= oldestFormat && Identity{Chain: chain, Node: node}.textOf(format) == text
}

// readSmall reads a file of at most most bytes; what lies beyond them is cut off.
func readSmall(fsys FS, name string, most int) (string, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return "", err
	}
	size, err := f.Size()
	buf := make([]byte, min(size, int64(most)))
	if err == nil {
		_, err = f.ReadAt(buf, 0)
	}
	return string(buf), errors.Join(err, f.Close())
}
