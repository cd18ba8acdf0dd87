//go:build race

package twins

// thinner is by how much fewer scenarios are played under the race detector, which is ten times slower and looks for
// faults of the harness, not of the protocol.
const thinner = 10
