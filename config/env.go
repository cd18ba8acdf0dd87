package config

import (
	"slices"
	"strings"
)

// envPrefix begins the name of every setting in the environment.
const envPrefix = "HOTSTUFFD_"

// envName returns the name of a setting in the environment.
func envName(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// readEnv takes in the settings of an environment, whose entries read NAME=value. A misspelt variable is an error, for it
// would be ignored in silence.
// Expected errors: UserError.
func (in *input) readEnv(environ []string) error {
	keys := map[string]string{}
	var names []string
	for key := range settings {
		keys[envName(key)] = key
		names = append(names, envName(key))
	}
	for _, entry := range slices.Sorted(slices.Values(environ)) {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(strings.ToUpper(name), envPrefix) {
			continue
		}
		key, known := keys[name]
		if !known {
			return Errorf("environment: unknown variable %s: %s", quoteOdd(name), suggest(name, names, "unset it"))
		}
		parsed, err := parseEnv(settings[key], value)
		if err != nil {
			return Errorf("environment: %s = %q: %w", name, value, err)
		}
		in.values[key] = setting{parsed, "environment: " + name}
	}
	return nil
}
