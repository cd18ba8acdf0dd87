package kv

// Glob says whether text matches a pattern, as Redis matches: `*` any bytes, `?` one byte, `[abc]`, `[^abc]` and `[a-c]`
// one byte of a set, `\` takes the next byte as it is.
//
// It takes one step from the budget for each byte compared, at worst pattern times text: only the last star is tried
// again, so stars do not multiply. When steps reaches 0 the answer is false and means nothing.
func Glob(pattern, text []byte, steps *int) bool {
	p, t := 0, 0
	star, retry := -1, 0 // pattern behind the last star; text where its next try starts
	for t < len(text) {
		if *steps--; *steps <= 0 {
			*steps = 0
			return false
		}
		if p < len(pattern) && pattern[p] == '*' {
			p++
			star, retry = p, t
			continue
		}
		if p < len(pattern) {
			if ok, length := globByte(pattern[p:], text[t]); ok {
				p, t = p+length, t+1
				continue
			}
		}
		if star < 0 {
			return false
		}
		retry++
		p, t = star, retry
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// globByte matches c with the first element of a pattern, and returns the element's length.
func globByte(pattern []byte, c byte) (ok bool, length int) {
	switch pattern[0] {
	case '?':
		return true, 1
	case '[':
		return globSet(pattern, c)
	case '\\':
		if len(pattern) > 1 {
			return pattern[1] == c, 2
		}
	}
	return pattern[0] == c, 1
}

// globSet matches c with a set. A set that is not closed ends with the pattern.
func globSet(pattern []byte, c byte) (ok bool, length int) {
	i, negated := 1, false
	if i < len(pattern) && pattern[i] == '^' {
		i, negated = i+1, true
	}
	for ; i < len(pattern) && pattern[i] != ']'; i++ {
		switch {
		case pattern[i] == '\\' && i+1 < len(pattern):
			i++
			ok = ok || pattern[i] == c
		case i+2 < len(pattern) && pattern[i+1] == '-':
			low, high := pattern[i], pattern[i+2]
			if low > high {
				low, high = high, low
			}
			ok = ok || low <= c && c <= high
			i += 2
		default:
			ok = ok || pattern[i] == c
		}
	}
	return ok != negated, min(i+1, len(pattern))
}
