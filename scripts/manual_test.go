package scripts

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/hotstuffd/hotstuffd/config"
)

// docs/operations.md has a row for every setting, with its default, as config.Default gives it.
func TestSettingsAreDocumented(t *testing.T) {
	operations := documents(t)["docs/operations.md"]
	for key, value := range defaults(reflect.ValueOf(config.Default()), "") {
		if row := "\n| `" + key + "` | " + value + " |"; !strings.Contains(operations, row) {
			t.Errorf("docs/operations.md has no row that begins with %q: say what the setting means", strings.TrimSpace(row))
		}
	}
}

// defaults returns the settings below a struct by their keys, as the table shows them.
func defaults(v reflect.Value, prefix string) map[string]string {
	found := map[string]string{}
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("mapstructure")
		if name == "-" {
			continue
		}
		key, value := prefix+name, v.Field(i)
		if value.Kind() == reflect.Struct {
			maps.Copy(found, defaults(value, key+"."))
			continue
		}
		found[key] = "`" + shown(key, value.Interface()) + "`"
		if value.IsZero() && value.Kind() != reflect.Bool {
			found[key] = "none"
		}
	}
	return found
}

// shown writes a default as people do.
func shown(key string, value any) string {
	if bytes, isInt := value.(int); isInt && strings.HasSuffix(key, "_bytes") {
		if bytes%(1<<20) == 0 {
			return fmt.Sprintf("%dMiB", bytes>>20)
		}
		return fmt.Sprintf("%dKiB", bytes>>10)
	}
	return fmt.Sprint(value)
}

var metricName = regexp.MustCompile(`(?:describe\("|Name: "hotstuffd_)([a-z_]+)"`)

// docs/operations.md names every metric of package node.
func TestMetricsAreDocumented(t *testing.T) {
	operations := documents(t)["docs/operations.md"]
	sources, err := filepath.Glob(filepath.Join(root, "node", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range sources {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range metricName.FindAllStringSubmatch(string(text), -1) {
			found++
			if !strings.Contains(operations, "`hotstuffd_"+m[1]+"`") {
				t.Errorf("docs/operations.md does not name the metric hotstuffd_%s: say what it tells an operator", m[1])
			}
		}
	}
	if found == 0 {
		t.Error("no metric found in package node: mend the pattern in scripts/docs_test.go")
	}
}

var stageName = regexp.MustCompile(`"([a-z_]+)": +&s\.`)

// docs/operations.md has a row for every stage of a command's way that is measured.
func TestStagesAreDocumented(t *testing.T) {
	operations := documents(t)["docs/operations.md"]
	text, err := os.ReadFile(filepath.Join(root, "node", "stages.go"))
	if err != nil {
		t.Fatal(err)
	}
	stages := stageName.FindAllStringSubmatch(string(text), -1)
	if len(stages) == 0 {
		t.Error("no stage found in node/stages.go: mend the pattern in scripts/manual_test.go")
	}
	for _, m := range stages {
		if !strings.Contains(operations, "\n| `"+m[1]+"` |") {
			t.Errorf("docs/operations.md has no row for the stage %s: say from what moment to what moment it is measured, and where", m[1])
		}
	}
}

var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

// The Go code that the README shows is compiled and run: its lines stand in an example.
func TestReadmeShowsTheExample(t *testing.T) {
	example, err := os.ReadFile(filepath.Join(root, "node", "example_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	written := map[string]bool{}
	for line := range strings.Lines(string(example)) {
		written[strings.TrimSpace(line)] = true
	}
	blocks := goBlock.FindAllStringSubmatch(documents(t)["README.md"], -1)
	if len(blocks) == 0 {
		t.Fatal("README.md has no block of Go code: show how the engine is embedded")
	}
	for _, block := range blocks {
		for line := range strings.Lines(block[1]) {
			if line = strings.TrimSpace(line); line != "" && !written[line] {
				t.Errorf("README.md shows %q, which node/example_test.go does not have: show what is compiled", line)
			}
		}
	}
}
