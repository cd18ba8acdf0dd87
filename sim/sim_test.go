package sim

import (
	"testing"
	"time"
)

func TestCalm(t *testing.T) {
	began := time.Now()
	r := Run(Calm(1, 4), nil)
	t.Logf("%+v in %v", r.Counts, time.Since(began))
	if r.Failure != nil {
		t.Fatal(r.Failure)
	}
}
