package scripts

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// goleveldb's last release, v1.0.0, is years older than its code; `go mod tidy` would fall back to it.
const (
	leveldbModule  = "github.com/syndtr/goleveldb"
	leveldbPinned  = "v1.0.1-0.20220721030215-126854af5e6d"
	leveldbExclude = "v1.0.0"
)

// goMod is what the rules need of go.mod.
type goMod struct {
	direct   map[string]string // version by module, without those marked indirect
	indirect map[string]string
	excluded []string // "module version"
}

func readGoMod(t *testing.T) goMod {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	m := goMod{direct: map[string]string{}, indirect: map[string]string{}}
	block := ""
	for line := range strings.Lines(string(text)) {
		code, comment, _ := strings.Cut(line, "//")
		words := strings.Fields(code)
		switch {
		case len(words) == 0:
		case words[0] == ")":
			block = ""
		case len(words) == 2 && words[1] == "(":
			block = words[0]
		case block != "":
			m.add(block, words, comment)
		default:
			m.add(words[0], words[1:], comment)
		}
	}
	return m
}

func (m *goMod) add(directive string, words []string, comment string) {
	switch {
	case directive == "exclude" && len(words) == 2:
		m.excluded = append(m.excluded, words[0]+" "+words[1])
	case directive == "require" && len(words) == 2 && strings.TrimSpace(comment) == "indirect":
		m.indirect[words[0]] = words[1]
	case directive == "require" && len(words) == 2:
		m.direct[words[0]] = words[1]
	}
}

// find returns the required module that holds a package: the longest whose path begins the package's.
func (m *goMod) find(imported string) (found string) {
	for _, modules := range []map[string]string{m.direct, m.indirect} {
		for name := range modules {
			if (imported == name || strings.HasPrefix(imported, name+"/")) && len(name) > len(found) {
				found = name
			}
		}
	}
	return found
}

func TestLevelDBIsPinned(t *testing.T) {
	m := readGoMod(t)
	if v := m.direct[leveldbModule]; v != leveldbPinned {
		t.Errorf("go.mod requires %s at %q: pin %s, the commit whose durability was examined (store/level.go)", leveldbModule, v, leveldbPinned)
	}
	if !slices.Contains(m.excluded, leveldbModule+" "+leveldbExclude) {
		t.Errorf("go.mod lacks `exclude %s %s`: go mod tidy may otherwise bring that release back", leveldbModule, leveldbExclude)
	}
}

// docs/dependencies.md has a line for each direct dependency, which tells where it is used and why it earns its place; and
// for no other.
func TestEachDependencyHasItsLine(t *testing.T) {
	m := readGoMod(t)
	used := usedModules(t, &m)
	lines := readDependencies(t)
	for name := range used {
		switch {
		case m.direct[name] == "":
			t.Errorf("%s is imported by %s, but go.mod does not have it as a direct dependency: run go mod tidy", name, strings.Join(used[name], ", "))
		case lines[name] == nil:
			t.Errorf("%s has no line in docs/dependencies.md: say where it is used and why it earns its place", name)
		case !slices.Equal(lines[name], used[name]):
			t.Errorf("docs/dependencies.md says that %s is used in %q, it is in %q: mend the line", name, lines[name], used[name])
		}
	}
	for name := range m.direct {
		if used[name] == nil {
			t.Errorf("go.mod has %s as a direct dependency, but no file imports it: run go mod tidy", name)
		}
	}
	for name := range lines {
		if used[name] == nil {
			t.Errorf("docs/dependencies.md has a line for %s, which nothing imports: remove it", name)
		}
	}
}

// usedModules returns, for each module that a file imports, the packages whose code does, sorted; or the word "tests", if
// nothing but tests does.
func usedModules(t *testing.T, m *goMod) map[string][]string {
	files, _ := readSources(t)
	used := map[string][]string{}
	for _, f := range files {
		for _, imported := range f.foreign {
			if standard(imported) {
				continue
			}
			name := m.find(imported)
			if name == "" {
				t.Errorf("%s imports %s, of a module that go.mod does not require: run go mod tidy", f.path, imported)
				continue
			}
			where := f.pkg
			if f.test {
				where = "tests"
			}
			if !slices.Contains(used[name], where) {
				used[name] = append(used[name], where)
			}
		}
	}
	for name, places := range used {
		if len(places) > 1 {
			used[name] = slices.DeleteFunc(places, func(where string) bool { return where == "tests" })
		}
		slices.Sort(used[name])
	}
	return used
}

// readDependencies returns the packages that docs/dependencies.md gives for each module: the rows of its table are
// | `module` | `package`, `package` | why |, with "tests" for a module that only tests use.
func readDependencies(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "`") {
			continue
		}
		name := strings.Trim(strings.TrimSpace(cells[1]), "`")
		if len(strings.Fields(cells[3])) < 4 {
			t.Errorf("docs/dependencies.md does not say why %s earns its place", name)
		}
		if lines[name] != nil {
			t.Errorf("docs/dependencies.md has two lines for %s", name)
		}
		for pkg := range strings.SplitSeq(strings.ReplaceAll(cells[2], "`", ""), ",") {
			lines[name] = append(lines[name], strings.TrimSpace(pkg))
		}
		slices.Sort(lines[name])
	}
	return lines
}
