package main

import (
	"testing"
	"time"
)

// The time without an answer counts whole, and of it the time with a quorum; not the time in which nobody asks.
func TestOutage(t *testing.T) {
	var o outage
	at := func(seconds int) time.Time { return time.Unix(int64(1000+seconds), 0) }
	want := func(when string, longest, blameless int) {
		t.Helper()
		l, b := o.worst()
		if l != time.Duration(longest)*time.Second || b != time.Duration(blameless)*time.Second {
			t.Errorf("%s: %v, %v with a quorum, want %d s, %d s", when, l, b, longest, blameless)
		}
	}
	o.quorum(true, at(0))
	o.begin(at(10))
	o.answered(at(11))
	o.answered(at(13))
	want("all well", 2, 2)
	o.quorum(false, at(16))
	o.quorum(false, at(17))
	o.quorum(true, at(20))
	o.answered(at(25))
	want("no quorum from 16 to 20", 12, 5)
	o.end(at(26))
	o.begin(at(100))
	o.end(at(101))
	want("nobody asked", 12, 5)
	o.begin(at(200))
	o.end(at(220))
	want("never answered", 20, 20)
}
