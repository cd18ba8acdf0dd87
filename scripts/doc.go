// Package scripts holds what developers run, and the rules about this repository that no compiler checks.
//
// The commands:
//
//	scripts/check         the one gate: format, vet, these rules, a build, staticcheck, the tests with the race detector; and
//	                      with --campaigns all that CI looks at
//	scripts/bench/readme  the measurements in the README, beside a single Redis in the same run
//	scripts/killtest      four real nodes under load, killed and paused again and again
//	scripts/soak          memory, disk and stand-stills over minutes of load
//	scripts/model         the protocol's models, checked by SPIN
//	scripts/gen-proto     the Go code of the wire and disk schema
//
// The rules are tests (go test ./scripts), so that a breach fails like any other fault and says what to do:
//
//   - imports_test.go: which package may import which, and what the pure packages must do without
//   - layout_test.go: folders, package documentation, the length of files
//   - modules_test.go: go.mod, and docs/dependencies.md beside it
//   - docs_test.go: links and cited sections lead somewhere
//   - guarantees_test.go: every guarantee has its row, and the tests that it names exist
//   - manual_test.go: settings, metrics and the example are shown as they are
//
// Start with the table in imports_test.go: it is the architecture.
package scripts
