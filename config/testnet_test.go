package config_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/qc"
)

func TestInitTestnetMakesHomesThatLoad(t *testing.T) {
	dir := newTestnet(t, 4)
	for i := range 4 {
		home := filepath.Join(dir, "node"+strconv.Itoa(i))
		c, g, s, err := config.Load(home)
		if err != nil {
			t.Fatal(err)
		}
		if s.ID != qc.NodeID(i) || len(g.Nodes) != 4 {
			t.Errorf("node %d has id %d of %d", i, s.ID, len(g.Nodes))
		}
		port := func(service int) string { return "127.0.0.1:" + strconv.Itoa(7000+10*i+service) }
		want := config.Default()
		want.Home, want.Chain = home, g.Chain.Hex()
		want.Net.Listen, want.Clients.Listen, want.HTTP.Listen = port(0), port(1), port(2)
		if c != want {
			t.Errorf("got  %+v\nwant %+v", c, want)
		}
		if g.Nodes[i].Address != port(0) {
			t.Errorf("node %d has address %s in the genesis, want %s", i, g.Nodes[i].Address, port(0))
		}
		for _, key := range []string{"bls.key", "identity.key"} {
			info, err := os.Stat(filepath.Join(home, key))
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s of node %d: %v, %v, want mode 0600", key, i, info.Mode(), err)
			}
		}
	}
}

// The settings file of a new home shows every setting.
func TestNewSettingsFileNamesEveryKey(t *testing.T) {
	settings, err := os.ReadFile(filepath.Join(newTestnet(t, 1), "node0", "config.toml"))
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for line := range strings.Lines(string(settings)) {
		if strings.Contains(line, " = ") {
			lines++
		}
	}
	if want := len(config.Keynames()); lines != want {
		t.Errorf("%d settings shown, want all %d", lines, want)
	}
}

func TestInitTestnetNeverOverwrites(t *testing.T) {
	dir := newTestnet(t, 1)
	before, err := os.ReadFile(filepath.Join(dir, "genesis.json"))
	if err != nil {
		t.Fatal(err)
	}
	err = config.InitTestnet(config.Testnet{Dir: dir, Nodes: 1, BasePort: 7000, InitData: mkdir})
	wantUserError(t, err, dir+" is not empty: choose another --dir, or remove it if what it holds may be lost")
	if after, err := os.ReadFile(filepath.Join(dir, "genesis.json")); err != nil || string(after) != string(before) {
		t.Errorf("the genesis changed: %v", err)
	}
}

// Of two at the same time one wins whole, and the other says so.
func TestInitTestnetLosesToAQuickerOne(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "net")
	inner := config.Testnet{Dir: dir, Nodes: 1, BasePort: 7000, InitData: mkdir}
	outer := inner
	outer.InitData = func(data string, g *config.Genesis, id qc.NodeID) error {
		return errors.Join(mkdir(data, g, id), config.InitTestnet(inner))
	}
	err := config.InitTestnet(outer)
	wantUserError(t, err, dir+" is not empty: choose another --dir, or remove it if what it holds may be lost")
	if _, _, _, err := config.Load(filepath.Join(dir, "node0")); err != nil {
		t.Errorf("the winner's home: %v", err)
	}
}

func TestInitTestnetLeavesNothingBehindWhenItFails(t *testing.T) {
	parent := t.TempDir()
	full := errors.New("disk full")
	fail := func(_ string, _ *config.Genesis, id qc.NodeID) error {
		if id == 2 {
			return full
		}
		return nil
	}
	err := config.InitTestnet(config.Testnet{Dir: filepath.Join(parent, "net"), Nodes: 4, BasePort: 7000, InitData: fail})
	if !errors.Is(err, full) {
		t.Fatalf("got %v, want %v", err, full)
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestInitTestnetRefusesImpossibleWishes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "net")
	for _, test := range []struct {
		nodes, port int
		want        string
	}{
		{0, 7000, `--nodes = 0: want 1 to 1024`},
		{1025, 7000, `--nodes = 1025: want 1 to 1024`},
		{4, 0, `--base-port = 0: 4 nodes use ports 0 to 32, want them within 1 to 65535`},
		{4, 65504, `--base-port = 65504: 4 nodes use ports 65504 to 65536, want them within 1 to 65535`},
	} {
		err := config.InitTestnet(config.Testnet{Dir: dir, Nodes: test.nodes, BasePort: test.port, InitData: mkdir})
		wantUserError(t, err, test.want)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a refused wish made %s", dir)
	}
}

func TestWrongKeysAndGenesisInAHome(t *testing.T) {
	copyFile := func(t *testing.T, from, to string) {
		t.Helper()
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		write(t, to, string(data), 0o600)
	}
	other := newTestnet(t, 1)
	otherGenesis, err := config.ReadGenesis(filepath.Join(other, "genesis.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		damage func(t *testing.T, home string)
		want   func(home string, g *config.Genesis) string
	}{
		{"key file that others read", func(t *testing.T, home string) {
			if err := os.Chmod(home+"/bls.key", 0o644); err != nil {
				t.Fatal(err)
			}
		}, func(home string, _ *config.Genesis) string {
			return `key file ` + home + `/bls.key has mode 0644, others can read it: run "chmod 600 ` + home + `/bls.key"`
		}},
		{"no key file", func(t *testing.T, home string) {
			if err := os.Remove(home + "/identity.key"); err != nil {
				t.Fatal(err)
			}
		}, func(home string, _ *config.Genesis) string {
			return `key file ` + home + `/identity.key does not exist: restore it from a backup, or name it in config under keys`
		}},
		{"broken key file", func(t *testing.T, home string) {
			write(t, home+"/identity.key", "hotstuffd-identity-secret-v1 0011\n", 0o600)
		}, func(home string, _ *config.Genesis) string {
			return `key file ` + home + `/identity.key is broken: want one line, hotstuffd-identity-secret-v1 and 32 bytes in hex: restore it from a backup`
		}},
		{"one key in the other's place", func(t *testing.T, home string) {
			copyFile(t, home+"/identity.key", home+"/bls.key")
		}, func(home string, _ *config.Genesis) string {
			return `key file ` + home + `/bls.key is broken: want one line, hotstuffd-bls-secret-v1 and 32 bytes in hex: restore it from a backup`
		}},
		{"key not in the roster", func(t *testing.T, home string) {
			copyFile(t, other+"/node0/bls.key", home+"/bls.key")
		}, func(string, *config.Genesis) string {
			return `bls.key: this key is not in the roster of genesis.json, which has 2 nodes: use the key of one of them`
		}},
		{"keys of two nodes", func(t *testing.T, home string) {
			copyFile(t, home+"/../node1/identity.key", home+"/identity.key")
		}, func(string, *config.Genesis) string {
			return `bls.key is node 0's key, but identity.key is node 1's: use both keys of one node`
		}},
		{"missing genesis", func(t *testing.T, home string) {
			if err := os.Remove(home + "/genesis.json"); err != nil {
				t.Fatal(err)
			}
		}, func(home string, _ *config.Genesis) string {
			return `genesis ` + home + `/genesis.json does not exist: copy it from another node of the chain, or set the key genesis`
		}},
		{"another chain's genesis", func(t *testing.T, home string) {
			copyFile(t, other+"/genesis.json", home+"/genesis.json")
		}, func(_ string, g *config.Genesis) string {
			return `genesis.json: its chain is ` + otherGenesis.Chain.Hex()[:16] + `..., but this home belongs to ` + g.Chain.Hex()[:16] +
				`... (config.toml: chain): put back the genesis of that chain, or use a home of this one`
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := newTestnet(t, 2)
			g, err := config.ReadGenesis(filepath.Join(dir, "genesis.json"))
			if err != nil {
				t.Fatal(err)
			}
			home := filepath.Join(dir, "node0")
			test.damage(t, home)
			_, _, _, err = config.Load(home)
			wantUserError(t, err, test.want(home, g))
		})
	}
}
