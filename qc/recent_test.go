package qc

import "testing"

// What is remembered is bounded, the key used longest ago goes first, and no value goes to another key.
func TestRecent(t *testing.T) {
	r := recent[int]{max: 3}
	has := func(key string) bool {
		value, ok := r.get([]byte(key))
		if ok && value != int(key[0]) {
			t.Errorf("%s has the value of %c", key, value)
		}
		return ok
	}
	add := func(key string) { r.add([]byte(key), int(key[0])) }

	add("a")
	add("b")
	add("c")
	if !has("a") || !has("b") || !has("c") || !has("a") {
		t.Error("forgets before it is full")
	}
	add("d") // b is the one used longest ago
	if has("b") || !has("c") || !has("a") || !has("d") {
		t.Error("d does not push out b alone")
	}
	for i := range 1000 {
		add(string(rune('A'+i%26)) + "x")
	}
	if len(r.entries) != 3 {
		t.Errorf("keeps %d entries, want 3", len(r.entries))
	}
}
