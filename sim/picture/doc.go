// Package picture draws plots as SVG, by hand: lines, rectangles and words at coordinates, in one style that can be read on
// white and on black. Package plan draws simulations with it, and the benchmark its measurements.
//
// It knows nothing of what it draws, and what it writes is a function of what it is told: the same calls give the same
// bytes.
package picture
