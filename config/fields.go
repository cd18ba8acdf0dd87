package config

import (
	"reflect"
	"strings"
	"time"
)

// kind is what a setting's value means, and so how it is written.
type kind int

const (
	text     kind = iota
	count         // a whole number
	size          // bytes: a whole number, or with a unit: "128KiB"
	duration      // always with a unit: "100ms"
	truth         // true or false
)

// settings lists every key with its kind: the leaves of Config, by their mapstructure names joined by dots.
// An int whose name ends in _bytes is a size.
var settings = leaves(reflect.TypeFor[Config](), "")

func leaves(t reflect.Type, prefix string) map[string]kind {
	found := map[string]kind{}
	for i := range t.NumField() {
		name := t.Field(i).Tag.Get("mapstructure")
		if name == "-" {
			continue
		}
		key := prefix + name
		switch field := t.Field(i).Type; {
		case field == reflect.TypeFor[time.Duration]():
			found[key] = duration
		case field.Kind() == reflect.Struct:
			for k, v := range leaves(field, key+".") {
				found[k] = v
			}
		case field.Kind() == reflect.Int && strings.HasSuffix(key, "_bytes"):
			found[key] = size
		case field.Kind() == reflect.Int:
			found[key] = count
		case field.Kind() == reflect.Bool:
			found[key] = truth
		default:
			found[key] = text
		}
	}
	return found
}

// leaf returns the value in c of a key of settings.
func (c Config) leaf(key string) any {
	v := reflect.ValueOf(c)
	for name := range strings.SplitSeq(key, ".") {
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("mapstructure") == name {
				v = v.Field(i)
				break
			}
		}
	}
	return v.Interface()
}
