package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"
)

// input is what an operator wrote, before it is merged.
type input struct {
	file   string
	values map[string]setting // by key
}

// setting is one value of a file or the environment, in its final type, and where it stands.
type setting struct {
	value  any
	source string
}

// source tells where the value of a key comes from.
func (in *input) source(key string) string {
	if s, ok := in.values[key]; ok {
		return s.source
	}
	return in.file + " (default)"
}

// locate says where the value stands that a KeyError is about.
func (in *input) locate(err error) error {
	var bad *KeyError
	if errors.As(err, &bad) {
		return Errorf("%s: %w", in.source(bad.Key), bad)
	}
	return err
}

// readFile takes in the settings file's keys.
// Expected errors: UserError.
func (in *input) readFile(data []byte) error {
	format := strings.TrimPrefix(filepath.Ext(in.file), ".")
	if err := checkSyntax(format, data); err != nil {
		return Errorf("%s: not valid %s: %w", in.file, strings.ToUpper(format), err)
	}
	decoder, err := viper.NewCodecRegistry().Decoder(format)
	if err != nil {
		return fmt.Errorf("%s: %w", in.file, err)
	}
	raw := map[string]any{}
	if err := decoder.Decode(data, raw); err != nil {
		var at interface{ Position() (row, column int) } // TOML's errors have one
		if errors.As(err, &at) {
			row, _ := at.Position()
			err = fmt.Errorf("line %d: %w", row, err)
		}
		return Errorf("%s: not valid %s: %w", in.file, strings.ToUpper(format), err)
	}
	return in.take(raw, "")
}

// checkSyntax refuses what the decoder of a format passes over in silence.
func checkSyntax(format string, data []byte) error {
	switch format {
	case "json":
		return checkJSON(data)
	case "yaml":
		d := yaml.NewDecoder(bytes.NewReader(data))
		var document yaml.Node
		if d.Decode(&document) == nil && !errors.Is(d.Decode(&document), io.EOF) {
			return errors.New("a second document follows, keep one")
		}
	}
	return nil
}

// take walks a table of the file in the order of its keys.
func (in *input) take(table map[string]any, prefix string) error {
	for _, name := range slices.Sorted(maps.Keys(table)) {
		key, value := prefix+name, table[name]
		k, known := settings[key]
		sub, isTable := value.(map[string]any)
		switch {
		case known:
			parsed, err := parse(k, value)
			if err != nil {
				return Errorf("%s: %s = %s: %w", in.file, key, show(value), err)
			}
			if _, twice := in.values[key]; twice {
				return Errorf("%s: %s is given twice: keep one", in.file, key)
			}
			in.values[key] = setting{parsed, in.file}
		case isTable && isSection(key):
			if err := in.take(sub, key+"."); err != nil {
				return err
			}
		case isSection(key):
			return Errorf("%s: %s = %s: %s is a table, set its keys: %s", in.file, key, show(value), key, keysBelow(key))
		default:
			return Errorf("%s: unknown key %s: %s", in.file, quoteOdd(key), suggest(key, knownNames(), "take it out"))
		}
	}
	return nil
}

// isSection tells whether key names a table of settings.
func isSection(key string) bool { return keysBelow(key) != "" }

func keysBelow(section string) string {
	var names []string
	for key := range settings {
		if strings.HasPrefix(key, section+".") {
			names = append(names, key)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// knownNames lists all keys and tables.
func knownNames() []string {
	names := slices.Collect(maps.Keys(settings))
	for key := range settings {
		if table, _, nested := strings.Cut(key, "."); nested && !slices.Contains(names, table) {
			names = append(names, table)
		}
	}
	return names
}
