package config

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// parse reads the value of a setting: one from a file, which has the type that the file's syntax gave it. Nothing is
// converted that does not mean the same: no truth value becomes a number, no fraction a whole number.
func parse(k kind, value any) (any, error) {
	switch k {
	case duration:
		return parseDuration(value)
	case size:
		if s, ok := value.(string); ok {
			return parseSize(s)
		}
		return parseWhole(value, `a number of bytes, or one with a unit: "64MiB"`)
	case count:
		return parseWhole(value, "a whole number without quotes")
	case truth:
		if b, ok := value.(bool); ok {
			return b, nil
		}
		return nil, errors.New("want true or false, without quotes")
	default:
		if s, ok := value.(string); ok {
			return s, nil
		}
		return nil, errors.New("wrong type, write it in quotes")
	}
}

// parseEnv reads the value of a setting from the environment, where everything is a string.
func parseEnv(k kind, value string) (any, error) {
	switch k {
	case count:
		if n, err := strconv.Atoi(value); err == nil {
			return n, nil
		}
		return nil, errors.New("want a whole number")
	case truth:
		if value == "true" || value == "false" {
			return value == "true", nil
		}
		return nil, errors.New("want true or false")
	}
	return parse(k, value)
}

func parseDuration(value any) (time.Duration, error) {
	s, isText := value.(string)
	if v := reflect.ValueOf(value); v.IsValid() && v.CanFloat() {
		s = strconv.FormatFloat(v.Float(), 'f', -1, 64)
	} else if v.IsValid() && (v.CanInt() || v.CanUint()) {
		s = fmt.Sprint(value)
	}
	if s != "" && strings.Trim(s, "+-.0123456789") == "" {
		return 0, fmt.Errorf(`missing unit, write "%ss" or "%sms"`, s, s)
	}
	d, err := time.ParseDuration(s)
	if err != nil || !isText {
		return 0, errors.New(`not a duration, write a number with its unit (us, ms, s, m, h): "100ms"`)
	}
	return d, nil
}

func parseWhole(value any, want string) (int, error) {
	v := reflect.ValueOf(value)
	switch {
	case v.IsValid() && v.CanInt():
		return int(v.Int()), nil
	case v.IsValid() && v.CanUint() && v.Uint() <= math.MaxInt:
		return int(v.Uint()), nil
	case v.IsValid() && v.CanFloat() && v.Float() == math.Trunc(v.Float()) && math.Abs(v.Float()) < 1<<53:
		return int(v.Float()), nil // JSON knows no other numbers
	}
	return 0, errors.New("want " + want)
}

// sizeUnits are the units of a size, larger ones first.
var sizeUnits = []struct {
	name  string
	bytes int
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

func parseSize(s string) (int, error) {
	bad := errors.New(`want a size in B, KiB, MiB or GiB: "64MiB"`)
	unit := 1
	for _, u := range sizeUnits {
		if number, ok := strings.CutSuffix(s, u.name); ok {
			s, unit = number, u.bytes
			break
		}
	}
	n, err := strconv.Atoi(s)
	if err != nil || n > math.MaxInt/unit || n < math.MinInt/unit {
		return 0, bad
	}
	return n * unit, nil
}

// formatSize writes n as parseSize reads it, in the largest unit that divides it.
func formatSize(n int) string {
	for _, u := range sizeUnits {
		if n != 0 && n%u.bytes == 0 {
			return strconv.Itoa(n/u.bytes) + u.name
		}
	}
	return "0B"
}

// show writes a setting's value as a settings file has it.
func show(value any) string {
	switch v := value.(type) {
	case string:
		return strconv.Quote(v)
	case time.Duration:
		return strconv.Quote(v.String())
	case map[string]any:
		return "{...}"
	case []any:
		return "[...]"
	case nil:
		return "null"
	}
	return fmt.Sprint(value)
}
