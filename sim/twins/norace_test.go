//go:build !race

package twins

// thinner: every scenario of the sample is played.
const thinner = 1
