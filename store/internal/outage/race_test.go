//go:build race

package outage

// raceDetector is ten times slower, so that no full campaign runs under it.
const raceDetector = true

// short is the longest step from one operation that is cut at to the next in everybody's run: fewer are under the detector.
const short = 900
