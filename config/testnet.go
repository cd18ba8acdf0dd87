package config

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/hotstuffd/hotstuffd/qc"
)

// Testnet says what InitTestnet makes: a chain of Nodes replicas on this machine. Node i listens on BasePort+10i for its
// peers (UDP), on the port after it for Redis clients, and on the one after that for HTTP.
type Testnet struct {
	Dir      string
	Nodes    int
	BasePort int
	// InitData makes the data directory of a node's home with the node's first safety record in it.
	InitData func(dir string, g *Genesis, id qc.NodeID) error
}

// portStep is the distance between the ports of two nodes; a node uses the first three of its own.
const portStep = 10

// InitTestnet makes Dir with a home for every node: all of it or, on an error, nothing. It builds the homes beside Dir and
// moves them there in one step, so that no half of a testnet is ever taken for a whole.
// Expected errors: UserError for impossible wishes and when Dir holds anything; anything else is the machine's.
func InitTestnet(t Testnet) error {
	if t.Nodes < 1 || t.Nodes > qc.MaxCommittee {
		return Errorf("--nodes = %d: want 1 to %d", t.Nodes, qc.MaxCommittee)
	}
	if last := t.BasePort + portStep*(t.Nodes-1) + 2; t.BasePort < 1 || last > 65535 {
		return Errorf("--base-port = %d: %d nodes use ports %d to %d, want them within 1 to 65535", t.BasePort, t.Nodes, t.BasePort, last)
	}
	dir, err := filepath.Abs(t.Dir)
	if err != nil {
		return fmt.Errorf("testnet: %w", err)
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return dirTaken(t.Dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("testnet: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("testnet: %w", err)
	}
	building, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+"-*")
	if err != nil {
		return fmt.Errorf("testnet: %w", err)
	}
	defer os.RemoveAll(building)
	if err := t.build(building); err != nil {
		return fmt.Errorf("testnet: %w", err)
	}
	if err := os.Chmod(building, 0o755); err != nil {
		return fmt.Errorf("testnet: %w", err)
	}
	// Another init may have been quicker: a directory that holds anything is not replaced.
	if err := os.Rename(building, dir); errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.ENOTEMPTY) {
		return dirTaken(t.Dir)
	} else if err != nil {
		return fmt.Errorf("testnet: %w", err)
	}
	if err := syncDir(filepath.Dir(dir)); err != nil {
		return fmt.Errorf("testnet: %w", err)
	}
	return nil
}

func dirTaken(dir string) error {
	return Errorf("%s is not empty: choose another --dir, or remove it if what it holds may be lost", dir)
}

// build fills an empty directory.
func (t Testnet) build(dir string) error {
	g := &Genesis{Name: "testnet", Leaders: LeadersReputation, Limits: DefaultLimits(t.Nodes)}
	secrets := make([]*Secrets, t.Nodes)
	for i := range secrets {
		bls, err := qc.GenerateKey(rand.Reader)
		if err != nil {
			return err
		}
		public, identity, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return err
		}
		proof := bls.ProvePossession()
		secrets[i] = &Secrets{ID: qc.NodeID(i), BLS: bls, Identity: identity}
		g.Nodes = append(g.Nodes, Member{Address: t.address(i, 0), Identity: public, BLS: bls.Public().Marshal(), BLSProof: proof[:]})
	}
	g.Chain = sha256.Sum256(g.canonical())
	for i, s := range secrets {
		if err := t.buildHome(filepath.Join(dir, "node"+strconv.Itoa(i)), g, s); err != nil {
			return err
		}
	}
	if err := writeFile(filepath.Join(dir, "genesis.json"), g.Encode(), 0o644); err != nil {
		return err
	}
	return syncDir(dir)
}

func (t Testnet) address(node, service int) string {
	return "127.0.0.1:" + strconv.Itoa(t.BasePort+portStep*node+service)
}

// buildHome makes one node's home.
func (t Testnet) buildHome(home string, g *Genesis, s *Secrets) error {
	if err := os.Mkdir(home, 0o755); err != nil {
		return err
	}
	c := Default()
	c.Home = home
	c.Chain = g.Chain.Hex()
	c.Net.Listen, c.Clients.Listen, c.HTTP.Listen = t.address(int(s.ID), 0), t.address(int(s.ID), 1), t.address(int(s.ID), 2)
	var settings strings.Builder
	if err := configTemplate.Execute(&settings, c); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(home, "config.toml"), []byte(settings.String()), 0o644); err != nil {
		return err
	}
	if err := writeFile(c.Path(c.Genesis), g.Encode(), 0o644); err != nil {
		return err
	}
	if err := writeKey(c.Path(c.Keys.BLS), blsType, s.BLS.Marshal()); err != nil {
		return err
	}
	if err := writeKey(c.Path(c.Keys.Identity), identityType, s.Identity.Seed()); err != nil {
		return err
	}
	if err := t.InitData(c.Path(c.Storage.Dir), g, s.ID); err != nil {
		return err
	}
	return syncDir(home)
}

// writeFile makes a new file, synced.
func writeFile(path string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// syncDir makes the names in a directory durable: a file is lost with its name.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
