package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// edit replaces a part of a file, which must be there.
func edit(t *testing.T, path, from, to string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), from) {
		t.Fatalf("no %q in %s", from, path)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(data), from, to, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// wantOneLine starts a node and checks that it ends with the status and one line. $HOME in it stands for the home.
func wantOneLine(t *testing.T, home, variable string, wantStatus int, want string) {
	t.Helper()
	c := daemon(t, "start", "--home", home)
	c.Env = append(c.Env, variable)
	status, stdout, stderr := finish(t, c)
	want = "hotstuffd: " + strings.ReplaceAll(want, "$HOME", home) + "\n"
	// What the node logged before is not of interest.
	i := strings.Index(stderr, "hotstuffd: ")
	if status != wantStatus || stdout != "" || i < 0 || stderr[i:] != want {
		t.Errorf("status %d, stdout %q, stderr\n%swant status %d\n%s", status, stdout, stderr, wantStatus, want)
	}
}

// Whatever an operator can have got wrong ends with status 2 and one line that names the mend.
func TestWrongHomesEndWithStatus2(t *testing.T) {
	other, _ := newTestnet(t, 1)
	remove := func(name string) func(*testing.T, string, int) {
		return func(t *testing.T, home string, _ int) {
			if err := os.Remove(filepath.Join(home, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	change := func(name, from, to string) func(*testing.T, string, int) {
		return func(t *testing.T, home string, _ int) { edit(t, filepath.Join(home, name), from, to) }
	}
	for _, test := range []struct {
		name     string
		damage   func(t *testing.T, home string, basePort int)
		variable string
		want     string
	}{
		{name: "unknown key", damage: change("config.toml", "\nbase_timeout", "\nbase_timout"),
			want: `config.toml: unknown key pacemaker.base_timout: did you mean pacemaker.base_timeout?`},
		{name: "unknown environment variable", variable: "HOTSTUFFD_PACEMAKER_BASE_TIMOUT=5s",
			want: `environment: unknown variable HOTSTUFFD_PACEMAKER_BASE_TIMOUT: did you mean HOTSTUFFD_PACEMAKER_BASE_TIMEOUT?`},
		{name: "no unit", damage: change("config.toml", `base_timeout = "100ms"`, `base_timeout = "5"`),
			want: `config.toml: pacemaker.base_timeout = "5": missing unit, write "5s" or "5ms"`},
		{name: "no unit in the environment", variable: "HOTSTUFFD_PACEMAKER_BASE_TIMEOUT=5",
			want: `environment: HOTSTUFFD_PACEMAKER_BASE_TIMEOUT = "5": missing unit, write "5s" or "5ms"`},
		{name: "impossible value", variable: "HOTSTUFFD_PACEMAKER_BASE_TIMEOUT=1m",
			want: `environment: HOTSTUFFD_PACEMAKER_BASE_TIMEOUT: pacemaker.base_timeout = "1m0s": above pacemaker.max_timeout = "10s", lower it or raise that`},
		{name: "broken file", damage: change("config.toml", "[keys]", "[keys"),
			want: `config.toml: not valid TOML: line 8: toml: expected character ]`},
		{name: "broken genesis", damage: change("genesis.json", "\n}", ""),
			want: `genesis.json: not a genesis document: line 31: ends too early`},
		{name: "duplicate node id", damage: change("genesis.json", `"id": 1`, `"id": 0`),
			want: `genesis.json: nodes[1].id = 0: duplicate node id, give every node of 0 to 1 once`},
		{name: "duplicate address", damage: func(t *testing.T, home string, basePort int) {
			for node := range 2 {
				edit(t, home+"/genesis.json", address(basePort, node, 0), "127.0.0.1:5")
			}
		}, want: `genesis.json: node 1: duplicate address 127.0.0.1:5, it is node 0's too: give every node its own`},
		{name: "missing genesis", damage: remove("genesis.json"),
			want: `genesis $HOME/genesis.json does not exist: copy it from another node of the chain, or set the key genesis`},
		{name: "key file that others read", damage: func(t *testing.T, home string, _ int) {
			if err := os.Chmod(home+"/bls.key", 0o644); err != nil {
				t.Fatal(err)
			}
		}, want: `key file $HOME/bls.key has mode 0644, others can read it: run "chmod 600 $HOME/bls.key"`},
		{name: "key not in the roster", damage: func(t *testing.T, home string, _ int) {
			copyFile(t, other+"/node0/identity.key", home+"/identity.key")
		}, want: `identity.key: this key is not in the roster of genesis.json, which has 2 nodes: use the key of one of them`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir, basePort := newTestnet(t, 2)
			home := filepath.Join(dir, "node0")
			if test.damage != nil {
				test.damage(t, home, basePort)
			}
			wantOneLine(t, home, test.variable, 2, test.want)
		})
	}
}

// A home knows its chain twice: by its settings, and where these are silent, by its store.
func TestGenesisOfAnotherChain(t *testing.T) {
	dir, _ := newTestnet(t, 1)
	home := filepath.Join(dir, "node0")
	edit(t, home+"/genesis.json", `"name": "testnet"`, `"name": "another"`)

	status, _, stderr := inProcess(t.Context(), "start", "--home", home)
	if status != 2 || !strings.HasPrefix(stderr, "hotstuffd: genesis.json: its chain is ") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("status %d, %s", status, stderr)
	}
	edit(t, home+"/config.toml", "\nchain", "\n# chain")
	status, _, stderr = inProcess(t.Context(), "start", "--home", home)
	if status != 2 || !strings.Contains(stderr, "store of another chain") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("status %d, %s", status, stderr)
	}
}

// What is the machine's fault ends with status 1, and one line as well.
func TestMachineFaultsEndWithStatus1(t *testing.T) {
	dir, base := newTestnet(t, 1)
	home := filepath.Join(dir, "node0")

	udp, err := net.ListenPacket("udp", address(base, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	wantOneLine(t, home, "", 1, `net.listen = "`+address(base, 0, 0)+`": the port is in use: stop what listens there, or choose another port`)
	udp.Close()
	for service, want := range map[int]string{
		1: `clients.listen: redis: ` + address(base, 0, 1) + ` is in use: stop the program that listens there, or choose another address`,
		2: `http.listen = "` + address(base, 0, 2) + `": the port is in use: stop what listens there, or choose another port`,
	} {
		tcp, err := net.Listen("tcp", address(base, 0, service))
		if err != nil {
			t.Fatal(err)
		}
		wantOneLine(t, home, "", 1, want)
		tcp.Close()
	}

	wantOneLine(t, home, "HOTSTUFFD_STORAGE_DIR=bls.key", 1,
		`$HOME/bls.key is not a directory: move the file away, or name another place in storage.dir`)
}
