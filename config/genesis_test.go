package config_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hotstuffd/hotstuffd/config"
)

// document is a genesis document to damage.
type document = map[string]any

func readDocument(t testing.TB, path string) (doc document) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func node(doc document, i int) document   { return doc["nodes"].([]any)[i].(document) }
func encode(doc document) (b []byte)      { b, _ = json.Marshal(doc); return b }
func limit(doc document) document         { return doc["limits"].(document) }
func same(doc document, key string) any   { return node(doc, 0)[key] }
func nodes(doc document, n int) (l []any) { return doc["nodes"].([]any)[:n] }

func TestWrongGenesis(t *testing.T) {
	path := filepath.Join(newTestnet(t, 4), "genesis.json")
	for _, test := range []struct {
		name   string
		damage func(document)
		want   string
	}{
		{"duplicate node id", func(d document) { node(d, 2)["id"] = 1 }, `nodes[2].id = 1: duplicate node id, give every node of 0 to 3 once`},
		{"id too large", func(d document) { node(d, 2)["id"] = 4 }, `nodes[2].id = 4: want one of 0 to 3, each once`},
		{"no id", func(d document) { delete(node(d, 2), "id") }, `nodes[2]: no id, want one of 0 to 3`},
		{"duplicate address", func(d document) { node(d, 2)["address"] = same(d, "address") }, `node 2: duplicate address 127.0.0.1:7000, it is node 0's too: give every node its own`},
		{"duplicate identity", func(d document) { node(d, 2)["identity"] = same(d, "identity") }, `node 2: duplicate identity, it is node 0's too: give every node its own`},
		{"duplicate BLS key", func(d document) { node(d, 2)["bls"] = same(d, "bls") }, `node 2: duplicate bls, it is node 0's too: give every node its own`},
		{"another's proof", func(d document) { node(d, 2)["bls_proof"] = same(d, "bls_proof") }, `node 2: bls_proof: `},
		{"no point", func(d document) { node(d, 2)["bls"] = strings.Repeat("11", 96) }, `node 2: bls: `},
		{"infinity", func(d document) { node(d, 2)["bls"] = "c0" + strings.Repeat("00", 95) }, `node 2: bls: `},
		{"short key", func(d document) { node(d, 2)["bls"] = "aa" }, `nodes[2].bls: want 96 bytes in hex`},
		{"no hex", func(d document) { node(d, 2)["identity"] = "me" }, `nodes[2].identity: want 32 bytes in hex`},
		{"address for nobody", func(d document) { node(d, 2)["address"] = "0.0.0.0:7000" }, `node 2: address = "0.0.0.0:7000": write the address at which other nodes reach it`},
		{"no nodes", func(d document) { d["nodes"] = nodes(d, 0) }, `nodes: 0 listed, want 1 to 1024`},
		{"unknown key", func(d document) { d["colour"] = 1 }, `not a genesis document: unknown field "colour"`},
		{"unknown leaders", func(d document) { d["leaders"] = "me" }, `leaders = "me": want reputation, round-robin or fixed`},
		{"no name", func(d document) { delete(d, "name") }, `name = "": want 1 to 64 letters, digits, dots, dashes`},
		{"type", func(d document) { d["epoch"] = "0" }, `not a genesis document: line 1: epoch: a string cannot stand here`},
		{"limit", func(d document) { limit(d)["batch_bytes_max"] = 1 }, `limits.batch_bytes_max = 1: want 131072 to 67108864`},
		{"block below batch", func(d document) { limit(d)["block_bytes_max"] = 5000 }, `limits.block_bytes_max = 5000: want 4194304 to 1073741824`},
		{"no unit", func(d document) { limit(d)["clock_skew_max"] = "10" }, `limits.clock_skew_max = "10": missing unit, write "10s" or "10ms"`},
		{"skew", func(d document) { limit(d)["clock_skew_max"] = "-1s" }, `limits.clock_skew_max = "-1s": want 1ms to 1h`},
	} {
		t.Run(test.name, func(t *testing.T) {
			doc := readDocument(t, path)
			test.damage(doc)
			_, err := config.ParseGenesis(encode(doc))
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestGenesisIsReadStrictly(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(newTestnet(t, 1), "genesis.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, from, to, want string }{
		{"key twice", `"epoch": 0,`, `"epoch": 0, "epoch": 1,`, `epoch is given twice: keep one`},
		{"key in another case", `"epoch"`, `"Epoch"`, `unknown key "Epoch": keys are in lower case`},
		{"null", `"epoch": 0`, `"epoch": null`, `epoch = null: write a value, or leave the key out`},
		{"something after", "\n}\n", "\n}\n{}", `something follows the document, take it out`},
		{"cut short", "\n}\n", "\n", `ends too early`},
		{"deep", `"epoch": 0`, `"epoch": ` + strings.Repeat("[", 99), `nested deeper than 16`},
	} {
		t.Run(test.name, func(t *testing.T) {
			damaged := strings.Replace(string(data), test.from, test.to, 1)
			_, err := config.ParseGenesis([]byte(damaged))
			if err == nil || !strings.HasSuffix(err.Error(), test.want) {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

// The chain ID depends on what the document says, not on how it is laid out.
func TestChainIDCoversTheContentAlone(t *testing.T) {
	path := filepath.Join(newTestnet(t, 2), "genesis.json")
	g, err := config.ReadGenesis(path)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := config.ParseGenesis(g.Encode()); err != nil || again.Chain != g.Chain {
		t.Errorf("reading what Encode wrote: %v, chain %x, want %x", err, again.Chain, g.Chain)
	}
	doc := readDocument(t, path)
	list := nodes(doc, 2)
	list[0], list[1] = list[1], list[0]
	if other, err := config.ParseGenesis(encode(doc)); err != nil || other.Chain != g.Chain {
		t.Errorf("nodes in another order: %v, chain %x, want %x", err, other.Chain, g.Chain)
	}
	for _, change := range []func(document){
		func(d document) { d["name"] = "other" },
		func(d document) { d["epoch"] = 1 },
		func(d document) { d["leaders"] = "round-robin" },
		func(d document) { limit(d)["batch_bytes_max"] = 1 << 20 },
		func(d document) { limit(d)["block_batches_max"] = 7 },
		func(d document) { limit(d)["block_bytes_max"] = 16 << 20 },
		func(d document) { limit(d)["expiry_distance_max"] = 99 },
		func(d document) { limit(d)["reputation_window"] = 99 },
		func(d document) { limit(d)["clock_skew_max"] = "9s" },
		func(d document) { node(d, 1)["address"] = "127.0.0.1:9" },
	} {
		doc := readDocument(t, path)
		change(doc)
		if other, err := config.ParseGenesis(encode(doc)); err != nil || other.Chain == g.Chain {
			t.Errorf("a change left the chain ID the same, or failed: %v", err)
		}
	}
}

// FuzzGenesis shows that no document does more than fail, and that each has one reading: what it is encoded to again is
// the same chain.
func FuzzGenesis(f *testing.F) {
	data, err := os.ReadFile(filepath.Join(newTestnet(f, 2), "genesis.json"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(bytes.Replace(data, []byte("127.0.0.1:7000"), []byte("[::1]:7000"), 1))
	f.Add([]byte(`{"nodes": [{"id": 0}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := config.ParseGenesis(data)
		if err != nil {
			return
		}
		again, err := config.ParseGenesis(g.Encode())
		if err != nil || again.Chain != g.Chain {
			t.Errorf("chain %x is %x once encoded: %v", g.Chain, again.Chain, err)
		}
	})
}
