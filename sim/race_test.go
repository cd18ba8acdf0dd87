//go:build race

package sim_test

// raceDetector is ten times slower, and looks for faults of the tests: a run itself is one goroutine. So there is no full
// campaign under it.
const raceDetector = true
