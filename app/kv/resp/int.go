package resp

import "math"

// ParseInt reads a decimal number as Redis does: no plus sign, no leading zeros, no spaces, no "-0", and it fits into
// 64 bits. A value that passes is exactly what formatting the number gives back.
func ParseInt(s []byte) (v int64, ok bool) {
	digits, negative := s, false
	if len(s) > 0 && s[0] == '-' {
		digits, negative = s[1:], true
	}
	if len(digits) == 0 || len(digits) > 19 {
		return 0, false
	}
	if digits[0] == '0' {
		return 0, len(s) == 1
	}
	var u uint64 // 19 digits fit
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		u = u*10 + uint64(c-'0')
	}
	if negative {
		return -int64(u), u <= -math.MinInt64
	}
	return int64(u), u <= math.MaxInt64
}
