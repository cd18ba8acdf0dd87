package config

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hotstuffd/hotstuffd/qc"
)

// Secrets are one replica's private keys, and its place in the roster, which they prove.
type Secrets struct {
	ID       qc.NodeID
	BLS      *qc.SecretKey
	Identity ed25519.PrivateKey
}

// A key file is one line: a type, a blank, the secret in hex.
const (
	blsType      = "hotstuffd-bls-secret-v1"
	identityType = "hotstuffd-identity-secret-v1" // the Ed25519 seed
)

// readSecrets reads both key files and finds the member of the roster that they belong to.
// Expected errors: UserError; anything else is the machine's.
func (c Config) readSecrets(g *Genesis) (*Secrets, error) {
	secret, err := readKey(c.Path(c.Keys.BLS), blsType, qc.SecretKeySize)
	if err != nil {
		return nil, err
	}
	bls, err := qc.ParseSecretKey(secret)
	if err != nil {
		return nil, Errorf("%s: %w: restore it from a backup", c.Path(c.Keys.BLS), err)
	}
	seed, err := readKey(c.Path(c.Keys.Identity), identityType, ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	identity := ed25519.NewKeyFromSeed(seed)

	byBLS, byIdentity := g.find(bls, identity)
	switch {
	case byBLS < 0:
		return nil, c.stranger(c.Keys.BLS, g)
	case byIdentity < 0:
		return nil, c.stranger(c.Keys.Identity, g)
	case byBLS != byIdentity:
		return nil, Errorf("%s is node %d's key, but %s is node %d's: use both keys of one node", c.Keys.BLS, byBLS, c.Keys.Identity, byIdentity)
	}
	return &Secrets{ID: qc.NodeID(byBLS), BLS: bls, Identity: identity}, nil
}

func (c Config) stranger(file string, g *Genesis) error {
	return Errorf("%s: this key is not in the roster of %s, which has %d nodes: use the key of one of them", file, filepath.Base(c.Genesis), len(g.Nodes))
}

// find returns the members with these keys, -1 for none.
func (g *Genesis) find(bls *qc.SecretKey, identity ed25519.PrivateKey) (byBLS, byIdentity int) {
	byBLS, byIdentity = -1, -1
	public := string(bls.Public().Marshal())
	for id, m := range g.Nodes {
		if string(m.BLS) == public {
			byBLS = id
		}
		if m.Identity.Equal(identity.Public()) {
			byIdentity = id
		}
	}
	return byBLS, byIdentity
}

// readKey reads a key file of the given type and size. It refuses one that anybody but its owner may read or change.
func readKey(path, keyType string, size int) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, Errorf("key file %s does not exist: restore it from a backup, or name it in config under keys", path)
	} else if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, Errorf("key file %s has mode %04o, others can read it: run \"chmod 600 %s\"", path, mode, path)
	}
	line := make([]byte, len(keyType)+2*size+16)
	n, _ := f.Read(line) // what is cut short or unreadable fails below
	kind, secret, _ := strings.Cut(strings.TrimSuffix(string(line[:n]), "\n"), " ")
	raw, err := hex.DecodeString(secret)
	if kind != keyType || err != nil || len(raw) != size {
		return nil, Errorf("key file %s is broken: want one line, %s and %d bytes in hex: restore it from a backup", path, keyType, size)
	}
	return raw, nil
}

// writeKey makes a key file with mode 0600, synced.
func writeKey(path, keyType string, secret []byte) error {
	return writeFile(path, fmt.Appendf(nil, "%s %x\n", keyType, secret), 0o600)
}
