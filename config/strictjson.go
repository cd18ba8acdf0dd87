package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// jsonDepthMax bounds nesting; no document here is nested deeper than four.
const jsonDepthMax = 16

// checkJSON refuses what encoding/json would pass over in silence: keys given twice, of which it takes the last; keys in
// another case, which it takes for the same; null, which it skips; and whatever follows the document.
func checkJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := checkValue(d, "", 0); errors.Is(err, io.EOF) {
		return positioned(errors.New("ends too early"), data, d.InputOffset())
	} else if err != nil {
		return positioned(err, data, d.InputOffset())
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return positioned(errors.New("something follows the document, take it out"), data, d.InputOffset())
	}
	return nil
}

// checkValue checks the value that comes next. path says where it stands.
func checkValue(d *json.Decoder, path string, depth int) error {
	if depth > jsonDepthMax {
		return fmt.Errorf("nested deeper than %d", jsonDepthMax)
	}
	token, err := d.Token()
	switch {
	case err != nil:
		return err
	case token == nil:
		return fmt.Errorf("%s = null: write a value, or leave the key out", path)
	case token == json.Delim('{'):
		err = checkObject(d, path, depth)
	case token == json.Delim('['):
		for i := 0; d.More() && err == nil; i++ {
			err = checkValue(d, fmt.Sprintf("%s[%d]", path, i), depth+1)
		}
	default:
		return nil
	}
	if err == nil {
		_, err = d.Token() // the closing bracket
	}
	return err
}

func checkObject(d *json.Decoder, path string, depth int) error {
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string)
		at := strings.TrimPrefix(path+"."+key, ".")
		if strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789_.") != "" {
			return fmt.Errorf("unknown key %q: keys are in lower case", at)
		}
		if seen[key] {
			return fmt.Errorf("%s is given twice: keep one", at)
		}
		seen[key] = true
		if err := checkValue(d, at, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// positioned adds the line to an error at an offset into a document.
func positioned(err error, data []byte, offset int64) error {
	line := 1 + bytes.Count(data[:min(offset, int64(len(data)))], []byte("\n"))
	return fmt.Errorf("line %d: %w", line, err)
}

// decodeStrict decodes a document that passed checkJSON. Unknown keys are errors.
func decodeStrict(data []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(to)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return positioned(fmt.Errorf("%s: a %s cannot stand here", wrong.Field, wrong.Value), data, wrong.Offset)
	}
	if err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}
