//go:build race

package outage

// raceDetector is ten times slower, so that no full campaign runs under it.
const raceDetector = true
