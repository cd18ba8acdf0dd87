package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"
)

// configBytesMax bounds a settings file.
const configBytesMax = 1 << 20

// Load reads a home directory and the environment, and checks that all of it belongs together: settings, genesis and keys.
// Expected errors: UserError for whatever the operator can mend by editing; anything else is the machine's.
func Load(home string) (Config, *Genesis, *Secrets, error) {
	c, g, s, err := load(home)
	if err != nil {
		return Config{}, nil, nil, err
	}
	return c, g, s, nil
}

func load(home string) (c Config, g *Genesis, s *Secrets, err error) {
	name, err := findConfig(home)
	if err != nil {
		return c, nil, nil, err
	}
	data, err := readBounded(filepath.Join(home, name), configBytesMax)
	if err != nil {
		return c, nil, nil, err
	}
	c, in, err := parseConfig(name, data, os.Environ())
	if err != nil {
		return c, nil, nil, err
	}
	c.Home = home
	if g, err = ReadGenesis(c.Path(c.Genesis)); err != nil {
		return c, nil, nil, err
	}
	if c.Chain != "" && c.Chain != g.Chain.Hex() {
		return c, nil, nil, Errorf("%s: its chain is %.16s..., but this home belongs to %.16s... (%s: chain): put back the genesis of that chain, or use a home of this one",
			filepath.Base(c.Genesis), g.Chain.Hex(), c.Chain, in.source("chain"))
	}
	if err := c.Fits(g); err != nil {
		return c, nil, nil, in.locate(err)
	}
	s, err = c.readSecrets(g)
	return c, g, s, err
}

// configNames are the settings files that a home may hold, one of them.
var configNames = []string{"config.toml", "config.yaml", "config.json"}

func findConfig(home string) (string, error) {
	if _, err := os.Stat(home); errors.Is(err, fs.ErrNotExist) {
		return "", Errorf("home %s does not exist: make one with \"hotstuffd testnet init\"", home)
	}
	var found []string
	for _, name := range configNames {
		switch _, err := os.Stat(filepath.Join(home, name)); {
		case err == nil:
			found = append(found, name)
		case !errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("settings: %w", err)
		}
	}
	switch len(found) {
	case 0:
		return "", Errorf("home %s holds no settings: want %s", home, strings.Join(configNames, " or "))
	case 1:
		return found[0], nil
	}
	return "", Errorf("home %s holds %s: keep one of them", home, strings.Join(found, " and "))
}

// parseConfig makes a Config of the content of a settings file and an environment (NAME=value), which wins, over the
// defaults. The file's name tells its format. Home is left empty.
//
// Viper merges and decodes; what it is lenient about is done before: it forgets empty tables, folds case, and would make
// 5 ns of a 5. So it gets known keys alone, with values of their final types.
// Expected errors: UserError.
func parseConfig(name string, data []byte, environ []string) (Config, *input, error) {
	in := &input{file: name, values: map[string]setting{}}
	if err := in.readFile(data); err != nil {
		return Config{}, in, err
	}
	if err := in.readEnv(environ); err != nil {
		return Config{}, in, err
	}
	v := viper.New()
	defaults := Default()
	for key := range settings {
		v.SetDefault(key, defaults.leaf(key))
	}
	for key, s := range in.values {
		v.Set(key, s.value)
	}
	var c Config
	strict := func(d *mapstructure.DecoderConfig) { d.WeaklyTypedInput, d.DecodeHook = false, nil }
	if err := v.UnmarshalExact(&c, strict); err != nil {
		return Config{}, in, fmt.Errorf("%s: %w", name, err)
	}
	if err := c.Validate(); err != nil {
		return Config{}, in, in.locate(err)
	}
	return c, in, nil
}
