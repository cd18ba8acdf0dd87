//go:build !race

package outage

const raceDetector = false

const short = 120
