//go:build race

package store_test

// raceDetector is ten times slower, so that no full campaign runs under it.
const raceDetector = true
