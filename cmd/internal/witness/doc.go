// Package witness holds what clients of a cluster saw, and tells whether one correct store can have shown it.
//
//   - History: commands on single keys by many clients at once. There must be one order that explains all answers
//     (linearizability, by porcupine).
//   - Writes: keys that are written once. What was acknowledged must be there, and nothing else but what was sent.
//   - Numbered: increments in a session, sent again until they are answered. Each must count once.
//
// All three take every reply at its word, and a lost one as knowing nothing: the command may have been executed, or may
// be at any later time. They are used by the tests of cmd/hotstuffd and by cmd/killtest, with clients of another project.
// The package starts no nodes and no goroutines.
package witness
