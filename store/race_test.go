//go:build race

package store_test

// raceDetector is ten times slower, so that no full campaign runs under it.
const raceDetector = true

// thinner is by how much less of everybody's run is played under it.
const thinner = 6
