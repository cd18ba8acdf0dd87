package scripts

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// layer is one package's place in the architecture.
type layer struct {
	pkg     string
	imports string // the packages of this module that it may import
	tests   string // those that its tests may import besides
}

// architecture is the whole of it, bottom first: a package imports only packages that stand above it in this table, so
// arrows run one way. docs/design.md draws the same.
var architecture = []layer{
	// The protocol: pure step functions, see pure.
	{pkg: "qc"},
	{pkg: "qc/peers", imports: "qc"},
	{pkg: "blocktree", imports: "qc"},
	{pkg: "pacemaker", imports: "qc"},
	{pkg: "hotstuff", imports: "qc qc/peers blocktree pacemaker"},
	{pkg: "mempool", imports: "qc qc/peers blocktree"},

	// The application: knows nothing of the engine.
	{pkg: "app/snapshot"},
	{pkg: "app/session", imports: "app/snapshot"},
	{pkg: "app", imports: "app/session"},
	{pkg: "app/kv/resp"},
	{pkg: "app/kv", imports: "app app/snapshot app/kv/resp"},
	{pkg: "app/kv/redis", imports: "app app/session app/kv app/kv/resp", tests: "mempool"},

	// The edges: settings, bytes, disk, network, operators. They know each other only through the schema.
	{pkg: "config", imports: "qc"},
	{pkg: "api/wire/internal/pb"},
	{pkg: "api/wire", imports: "qc blocktree hotstuff mempool api/wire/internal/pb"},
	{pkg: "store", imports: "qc blocktree hotstuff mempool api/wire", tests: "store/internal/cutdisk"},
	{pkg: "store/internal/cutdisk", imports: "store"},
	{pkg: "net", imports: "qc"},
	{pkg: "api/server"},

	// The seam, and what puts it together.
	{pkg: "node", imports: "qc blocktree pacemaker hotstuff mempool app app/session config api/wire store net api/server", tests: "app/kv"},
	{pkg: "sim", imports: "qc blocktree pacemaker hotstuff mempool app app/session app/kv config api/wire store net node"},
	{pkg: "store/internal/outage", tests: "qc blocktree hotstuff mempool config store store/internal/cutdisk sim"},
	{pkg: "sim/picture"},
	{pkg: "sim/plan", imports: "qc blocktree config sim sim/picture"},
	{pkg: "sim/mutants"},
	{pkg: "sim/twins", imports: "qc blocktree pacemaker hotstuff"},
	{pkg: "cmd/internal/witness"},
	{pkg: "cmd/internal/load", imports: "app/kv/resp config sim/picture"},
	{pkg: "cmd/internal/floor", imports: "qc blocktree hotstuff api/wire store net"},
	{pkg: "cmd/hotstuffd", imports: "qc app/kv app/kv/redis config store api/server node sim sim/plan cmd/internal/load cmd/internal/floor", tests: "cmd/internal/witness"},
	{pkg: "cmd/killtest", imports: "api/server cmd/internal/witness"},

	{pkg: "scripts", tests: "config"},
}

// pure lists the packages that are functions of their inputs: what the simulator runs, and what must give the same
// result from the same inputs on every replica.
var pure = []string{"qc", "qc/peers", "blocktree", "pacemaker", "hotstuff", "mempool"}

// pureImports is all that pure packages may import besides each other: nothing that has a clock, a goroutine, a lock, a
// file, a socket or a source of random numbers behind it.
var pureImports = []string{
	"bytes", "cmp", "container/heap", "encoding/binary", "encoding/hex", "errors", "fmt", "io", "iter", "math", "math/big",
	"math/bits", "slices", "sort",
	"crypto/ed25519", "crypto/hkdf", "crypto/sha256",
	"github.com/consensys/gnark-crypto/ecc/bls12-381", "github.com/consensys/gnark-crypto/ecc/bls12-381/fr",
}

// Every package has its place, and imports only what the table allows.
func TestImportsRunDownwards(t *testing.T) {
	files, _ := readSources(t)
	packages := map[string]bool{}
	for _, f := range files {
		packages[f.pkg] = true
	}
	rows := checkTable(t, packages)
	for _, f := range files {
		row, placed := rows[f.pkg]
		if !placed {
			continue // checkTable has said so
		}
		allowed := strings.Fields(row.imports)
		if f.test {
			allowed = append(allowed, strings.Fields(row.tests)...)
			allowed = append(allowed, f.pkg) // an external test imports its package
		}
		for _, imported := range f.own {
			if !slices.Contains(allowed, imported) {
				t.Errorf("%s imports %s, which package %s may not: go through the seam that has it (node, or an interface that node fills), "+
					"or, if the architecture changes, change its table in scripts/imports_test.go and docs/design.md with it", f.path, imported, f.pkg)
			}
		}
	}
}

// checkTable returns the table's rows by package, and fails if the table is not true or not in order.
func checkTable(t *testing.T, packages map[string]bool) map[string]layer {
	rows := map[string]layer{}
	for _, row := range architecture {
		if !packages[row.pkg] {
			t.Errorf("the architecture's table has package %s, which does not exist: remove its row", row.pkg)
		}
		for _, imported := range strings.Fields(row.imports) {
			if _, above := rows[imported]; !above {
				t.Errorf("the architecture's table lets %s import %s, which does not stand above it: imports run one way", row.pkg, imported)
			}
		}
		rows[row.pkg] = row
	}
	for pkg := range packages {
		if _, placed := rows[pkg]; !placed {
			t.Errorf("package %s has no row in the architecture's table in scripts/imports_test.go: give it its place there and in docs/design.md", pkg)
		}
	}
	return rows
}

// Pure packages import nothing with effects, and have no goroutines and no channels.
func TestPurePackagesArePure(t *testing.T) {
	files, fset := readSources(t)
	for _, f := range files {
		if !slices.Contains(pure, f.pkg) || f.test {
			continue
		}
		for _, imported := range f.own {
			if !slices.Contains(pure, imported) {
				t.Errorf("%s imports %s, which is not pure, but package %s is: turn the arrow round, or move what both need down", f.path, imported, f.pkg)
			}
		}
		for _, imported := range f.foreign {
			if !slices.Contains(pureImports, imported) {
				t.Errorf("%s imports %q, but package %s is pure: let the time come as qc.Ticks, results as inputs and effects out by Ready; "+
					"if %q has no effect and gives the same on every replica, add it to pureImports in scripts/imports_test.go",
					f.path, imported, f.pkg, imported)
			}
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if what := impurity(n); what != "" {
				t.Errorf("%s: package %s is pure, but this is %s: keep state in plain values and let package node do what must run beside others",
					fset.Position(n.Pos()), f.pkg, what)
			}
			return true
		})
	}
}

// signing lists the files that may sign. A replica answers for what it signs, so there is one place for each kind, and it
// knows what was signed before. (Package qc is the BLS scheme itself and calls
// nothing of the name for it.)
var signing = []string{
	"hotstuff/safety.go", // votes, timeouts and proposals, against the safety state
	"mempool/own.go",     // batches, in the order of the own lane
	"qc/identity.go",     // Ed25519 itself, for these two

	"cmd/internal/floor/crypto.go", // measures what signing costs, with keys of no value
}

// Nothing is signed outside the safety rules (S10).
func TestOneSigningAuthority(t *testing.T) {
	files, fset := readSources(t)
	for _, f := range files {
		if f.test || slices.Contains(signing, f.path) || f.pkg == "sim" || strings.HasPrefix(f.pkg, "sim/") {
			continue // a simulation's Byzantine replicas sign what they like, with keys of no value
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && signs(call) {
				t.Errorf("%s: this signs, which %s may not: let the core decide what is signed (hotstuff/safety.go)", fset.Position(n.Pos()), f.path)
			}
			return true
		})
	}
}

// signs tells whether a call is of a method or function Sign that is given something to sign: big.Int's Sign is given
// nothing.
func signs(call *ast.CallExpr) bool {
	f, ok := call.Fun.(*ast.SelectorExpr)
	return ok && f.Sel.Name == "Sign" && len(call.Args) > 0
}

// impurity names what a piece of syntax must not be in a pure package.
func impurity(n ast.Node) string {
	switch n := n.(type) {
	case *ast.GoStmt:
		return "a goroutine"
	case *ast.ChanType:
		return "a channel"
	case *ast.SelectStmt:
		return "a select"
	case *ast.SendStmt:
		return "a send on a channel"
	case *ast.UnaryExpr:
		if n.Op == token.ARROW {
			return "a receive from a channel"
		}
	case *ast.SelectorExpr:
		if pkg, ok := n.X.(*ast.Ident); ok && pkg.Name == "fmt" && (strings.HasPrefix(n.Sel.Name, "Print") || strings.HasPrefix(n.Sel.Name, "Scan")) {
			return "input or output"
		}
	case *ast.CallExpr:
		if f, ok := n.Fun.(*ast.Ident); ok && (f.Name == "print" || f.Name == "println") {
			return "output"
		}
	}
	return ""
}
