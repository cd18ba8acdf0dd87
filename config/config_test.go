package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hotstuffd/hotstuffd/config"
	"github.com/hotstuffd/hotstuffd/qc"
)

// newTestnet makes a testnet of n nodes and returns its directory.
func newTestnet(t testing.TB, n int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "net")
	if err := config.InitTestnet(config.Testnet{Dir: dir, Nodes: n, BasePort: 7000, InitData: mkdir}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func mkdir(dir string, _ *config.Genesis, _ qc.NodeID) error { return os.Mkdir(dir, 0o755) }

// newHome makes a home and puts settings in place of its config.toml.
func newHome(t *testing.T, file, settings string) string {
	t.Helper()
	home := filepath.Join(newTestnet(t, 1), "node0")
	if err := os.Remove(filepath.Join(home, "config.toml")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(home, file), settings, 0o644)
	return home
}

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// wantUserError checks for exactly one line.
func wantUserError(t *testing.T, err error, want string) {
	t.Helper()
	var user *config.UserError
	if !errors.As(err, &user) {
		t.Fatalf("got %v, want the UserError %q", err, want)
	}
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
}

func TestSettingsFromEachFormatAndTheEnvironment(t *testing.T) {
	for file, settings := range map[string]string{
		"config.toml": "[pacemaker]\nbase_timeout = '200ms'\n[mempool]\npeer_bytes = '5MiB'\npending_bytes = 1048576\n[clients]\nmax_pipeline = 7\n",
		"config.yaml": "pacemaker:\n  base_timeout: 200ms\nmempool.peer_bytes: 5MiB\nmempool:\n  pending_bytes: 1048576\nclients:\n  max_pipeline: 7\n",
		"config.json": `{"pacemaker": {"base_timeout": "200ms"}, "mempool": {"peer_bytes": "5MiB", "pending_bytes": 1048576}, "clients": {"max_pipeline": 7}}`,
	} {
		t.Run(file, func(t *testing.T) {
			t.Setenv("HOTSTUFFD_PACEMAKER_HEARTBEAT", "3s")
			t.Setenv("HOTSTUFFD_CLIENTS_MAX_PIPELINE", "9")
			t.Setenv("HOTSTUFFD_HTTP_LISTEN", "")
			t.Setenv("HOTSTUFFD_HTTP_PROFILES", "true")
			home := newHome(t, file, settings)
			c, _, _, err := config.Load(home)
			if err != nil {
				t.Fatal(err)
			}
			want := config.Default()
			want.Home = home
			want.Pacemaker.BaseTimeout = 200 * time.Millisecond
			want.Pacemaker.Heartbeat = 3 * time.Second
			want.Mempool.PeerBytes = 5 << 20
			want.Mempool.PendingBytes = 1 << 20
			want.Clients.MaxPipeline = 9
			want.HTTP.Listen, want.HTTP.Profiles = "", true
			if c != want {
				t.Errorf("got  %+v\nwant %+v", c, want)
			}
		})
	}
}

func TestWrongSettingsAreOneLineThatNamesTheMend(t *testing.T) {
	for _, test := range []struct{ name, file, settings, want string }{
		{"no unit", "config.toml", "[pacemaker]\nbase_timeout = \"5\"\n",
			`config.toml: pacemaker.base_timeout = "5": missing unit, write "5s" or "5ms"`},
		{"a number is no duration", "config.toml", "[pacemaker]\nbase_timeout = 5\n",
			`config.toml: pacemaker.base_timeout = 5: missing unit, write "5s" or "5ms"`},
		{"a fraction is no duration", "config.json", `{"pacemaker": {"base_timeout": 0.5}}`,
			`config.json: pacemaker.base_timeout = 0.5: missing unit, write "0.5s" or "0.5ms"`},
		{"no number", "config.yaml", "pacemaker:\n  base_timeout: soon\n",
			`config.yaml: pacemaker.base_timeout = "soon": not a duration, write a number with its unit (us, ms, s, m, h): "100ms"`},
		{"truth is no number", "config.toml", "[clients]\nmax_pipeline = true\n",
			`config.toml: clients.max_pipeline = true: want a whole number without quotes`},
		{"a fraction is no count", "config.json", `{"clients": {"max_pipeline": 3.9}}`,
			`config.json: clients.max_pipeline = 3.9: want a whole number without quotes`},
		{"text is no count", "config.toml", "[clients]\nmax_pipeline = \"12\"\n",
			`config.toml: clients.max_pipeline = "12": want a whole number without quotes`},
		{"text is no truth", "config.toml", "[http]\nprofiles = \"true\"\n",
			`config.toml: http.profiles = "true": want true or false, without quotes`},
		{"a number is no truth", "config.yaml", "http:\n  profiles: 1\n",
			`config.yaml: http.profiles = 1: want true or false, without quotes`},
		{"a number is no text", "config.yaml", "log:\n  level: 3\n",
			`config.yaml: log.level = 3: wrong type, write it in quotes`},
		{"size unit", "config.toml", "[mempool]\npeer_bytes = \"64 megs\"\n",
			`config.toml: mempool.peer_bytes = "64 megs": want a size in B, KiB, MiB or GiB: "64MiB"`},
		{"size overflow", "config.toml", "[mempool]\npeer_bytes = \"9000000000000GiB\"\n",
			`config.toml: mempool.peer_bytes = "9000000000000GiB": want a size in B, KiB, MiB or GiB: "64MiB"`},
		{"unknown key", "config.toml", "[pacemaker]\nbase_timout = \"5s\"\n",
			`config.toml: unknown key pacemaker.base_timout: did you mean pacemaker.base_timeout?`},
		{"unknown key like no other", "config.toml", "colour = \"blue\"\n",
			`config.toml: unknown key colour: take it out`},
		{"unknown empty table", "config.toml", "[telemetry]\n",
			`config.toml: unknown key telemetry: take it out`},
		{"case", "config.toml", "[Pacemaker]\nbase_timeout = \"5s\"\n",
			`config.toml: unknown key Pacemaker: did you mean pacemaker?`},
		{"table as value", "config.toml", "pacemaker = 5\n",
			`config.toml: pacemaker = 5: pacemaker is a table, set its keys: pacemaker.base_timeout, pacemaker.heartbeat, pacemaker.max_timeout, pacemaker.min_view`},
		{"key twice by two spellings", "config.yaml", "http.listen: 127.0.0.1:1\nhttp: {listen: \"127.0.0.1:2\"}\n",
			`config.yaml: http.listen is given twice: keep one`},
		{"key twice in JSON", "config.json", "{\"log\": {\"level\": \"info\",\n\"level\": \"debug\"}}",
			`config.json: not valid JSON: line 2: log.level is given twice: keep one`},
		{"null", "config.json", `{"log": {"level": null}}`,
			`config.json: not valid JSON: line 1: log.level = null: write a value, or leave the key out`},
		{"broken TOML", "config.toml", "[pacemaker\nbase_timeout = \"5s\"\n",
			`config.toml: not valid TOML: line 1: toml: expected character ]`},
		{"broken YAML", "config.yaml", "a: [1\n",
			`config.yaml: not valid YAML: yaml: line 1: did not find expected ',' or ']'`},
		{"two YAML documents", "config.yaml", "log: {level: info}\n---\nlog: {level: debug}\n",
			`config.yaml: not valid YAML: a second document follows, keep one`},
		{"broken JSON", "config.json", `{"log": `,
			`config.json: not valid JSON: line 1: ends too early`},
		{"after JSON", "config.json", "{}\n{}",
			`config.json: not valid JSON: line 2: something follows the document, take it out`},
		{"negative", "config.toml", "[pacemaker]\nheartbeat = \"-1s\"\n",
			`config.toml: pacemaker.heartbeat = "-1s": want 1ms to 1h0m0s`},
		{"zero", "config.toml", "[clients]\nmax_connections = 0\n",
			`config.toml: clients.max_connections = 0: want 1 to 1048576`},
		{"base above max", "config.toml", "[pacemaker]\nbase_timeout = \"20s\"\n",
			`config.toml: pacemaker.base_timeout = "20s": above pacemaker.max_timeout = "10s", lower it or raise that`},
		{"address without port", "config.toml", "[clients]\nlisten = \"127.0.0.1\"\n",
			`config.toml: clients.listen = "127.0.0.1": no port, write host:port such as 127.0.0.1:7000`},
		{"port", "config.toml", "[http]\nlisten = \"127.0.0.1:70000\"\n",
			`config.toml: http.listen = "127.0.0.1:70000": port "70000": want 1 to 65535`},
		{"host", "config.toml", "[net]\nlisten = \"http://x:1\"\n",
			`config.toml: net.listen = "http://x:1": host "http://x": want an IP address or a host name in lower case`},
		{"IPv6 without brackets", "config.toml", "[net]\nlisten = \"::1:7000\"\n",
			`config.toml: net.listen = "::1:7000": want host:port, an IPv6 address in brackets: [::1]:7000`},
		{"one port for two", "config.toml", "[http]\nlisten = \"127.0.0.1:7001\"\n",
			`config.toml: http.listen = "127.0.0.1:7001": also clients.listen, give each a port of its own`},
		{"level", "config.toml", "[log]\nlevel = \"loud\"\n",
			`config.toml: log.level = "loud": want one of debug, info, warn, error`},
		{"chain", "config.toml", "chain = \"beef\"\n",
			`config.toml: chain = "beef": want the 64 hex digits that name a chain, or leave it out`},
		{"batch above the genesis", "config.toml", "[mempool]\nbatch_bytes = \"8MiB\"\n",
			`config.toml: mempool.batch_bytes = "8MiB": above the genesis' batch_bytes_max = 4MiB, lower it`},
		{"value above the genesis", "config.toml", "[clients]\nmax_value_bytes = \"2MiB\"\n",
			`config.toml: clients.max_value_bytes = "2MiB": three such values in one command do not fit into a batch, batch_bytes_max of the genesis = 4MiB: write at most 1397760`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, _, _, err := config.Load(newHome(t, test.file, test.settings))
			wantUserError(t, err, test.want)
		})
	}
}

func TestWrongEnvironment(t *testing.T) {
	home := newHome(t, "config.toml", "")
	for _, test := range []struct{ variable, value, want string }{
		{"HOTSTUFFD_PACEMAKER_BASE_TIMEOUT", "5", `environment: HOTSTUFFD_PACEMAKER_BASE_TIMEOUT = "5": missing unit, write "5s" or "5ms"`},
		{"HOTSTUFFD_PACEMAKER_BASE_TIMOUT", "5s", `environment: unknown variable HOTSTUFFD_PACEMAKER_BASE_TIMOUT: did you mean HOTSTUFFD_PACEMAKER_BASE_TIMEOUT?`},
		{"HOTSTUFFD_X", "5s", `environment: unknown variable HOTSTUFFD_X: unset it`},
		{"hotstuffd_log_level", "debug", `environment: unknown variable hotstuffd_log_level: did you mean HOTSTUFFD_LOG_LEVEL?`},
		{"HOTSTUFFD_CLIENTS_MAX_PIPELINE", "12k", `environment: HOTSTUFFD_CLIENTS_MAX_PIPELINE = "12k": want a whole number`},
		{"HOTSTUFFD_HTTP_PROFILES", "yes", `environment: HOTSTUFFD_HTTP_PROFILES = "yes": want true or false`},
		{"HOTSTUFFD_LOG_LEVEL", "loud", `environment: HOTSTUFFD_LOG_LEVEL: log.level = "loud": want one of debug, info, warn, error`},
	} {
		t.Run(test.variable, func(t *testing.T) {
			t.Setenv(test.variable, test.value)
			_, _, _, err := config.Load(home)
			wantUserError(t, err, test.want)
		})
	}
}

func TestWrongHome(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none")
	_, _, _, err := config.Load(missing)
	wantUserError(t, err, `home `+missing+` does not exist: make one with "hotstuffd testnet init"`)

	empty := t.TempDir()
	_, _, _, err = config.Load(empty)
	wantUserError(t, err, `home `+empty+` holds no settings: want config.toml or config.yaml or config.json`)

	double := newHome(t, "config.toml", "")
	write(t, filepath.Join(double, "config.json"), "{}", 0o644)
	_, _, _, err = config.Load(double)
	wantUserError(t, err, `home `+double+` holds config.toml and config.json: keep one of them`)

	large := newHome(t, "config.toml", strings.Repeat("#\n", 1<<19)+"#")
	_, _, _, err = config.Load(large)
	wantUserError(t, err, large+`/config.toml has 1048577 bytes, at most 1048576 are read`)
}

func TestDefaultsAreValid(t *testing.T) {
	if err := config.Default().Validate(); err != nil {
		t.Error(err)
	}
}

// FuzzConfig shows that no settings file does more than fail in one line.
func FuzzConfig(f *testing.F) {
	dir := newTestnet(f, 1)
	settings, err := os.ReadFile(filepath.Join(dir, "node0", "config.toml"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint8(0), settings, "")
	f.Add(uint8(1), []byte("pacemaker: {base_timeout: 5ms}\n"), "HOTSTUFFD_LOG_LEVEL=debug")
	f.Add(uint8(2), []byte(`{"pacemaker": {"base_timeout": "5ms"}, "clients": {"max_pipeline": 1e3}}`), "HOTSTUFFD_CLIENTS_MAX_PIPELINE=1")
	f.Fuzz(func(t *testing.T, format uint8, data []byte, variable string) {
		name := []string{"config.toml", "config.yaml", "config.json"}[format%3]
		c, err := config.Parse(name, data, []string{variable})
		var user *config.UserError
		switch {
		case err == nil:
			if err := c.Validate(); err != nil {
				t.Errorf("accepted settings that are not valid: %v", err)
			}
		case !errors.As(err, &user):
			t.Errorf("not a UserError: %v", err)
		case strings.ContainsAny(err.Error(), "\n\r"):
			t.Errorf("more than one line: %q", err)
		}
	})
}
