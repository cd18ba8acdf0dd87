package config

import (
	"maps"
	"slices"
)

// Parse makes settings of a file's content and an environment, without a home and its keys: the fuzz target's way in.
func Parse(name string, data []byte, environ []string) (Config, error) {
	c, _, err := parseConfig(name, data, environ)
	return c, err
}

// Keynames lists the keys of all settings.
func Keynames() []string { return slices.Sorted(maps.Keys(settings)) }
