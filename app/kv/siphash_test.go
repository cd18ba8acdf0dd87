package kv

import "testing"

// The test vectors of the SipHash paper's reference code: key 00..0f, messages 00, 00 01, and so on.
func TestSipHashVectors(t *testing.T) {
	want := map[int]uint64{
		0:  0x726fdb47dd0e0e31,
		1:  0x74f839c593dc67fd,
		2:  0x0d6c8009d9a94f5a,
		7:  0xab0200f58b01d137,
		8:  0x93f5f5799a932462,
		15: 0xa129ca6149be45e5,
	}
	message := make([]byte, 16)
	for i := range message {
		message[i] = byte(i)
	}
	for length, sum := range want {
		if got := sipHash(0x0706050403020100, 0x0f0e0d0c0b0a0908, message[:length]); got != sum {
			t.Errorf("%d bytes: got %#x, want %#x", length, got, sum)
		}
	}
}
